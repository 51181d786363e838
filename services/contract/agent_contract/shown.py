"""URLs as logs, errors and terminals may have them."""


def shown_url(url: str) -> str:
    """Give a URL without its user and password (RFC 3986, 3.2.1): a secret may stand there."""
    scheme, separator, rest = url.rpartition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"
