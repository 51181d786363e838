"""Where an instance listens: scheme, host and port, read strictly from the URL that it registered."""

import ipaddress
import string
from typing import Final, Self

import msgspec

_NAME_CHARACTERS: Final = frozenset(string.ascii_lowercase + string.digits + "-_")
_MAX_NAME, _MAX_LABEL, _MAX_PORT, _MAX_PORT_DIGITS = 253, 63, 65535, 5
_TLS_OF_SCHEME: Final = {"http": False, "https": True}


class Origin(msgspec.Struct, frozen=True):
    """One place to connect to. Equal origins share one pool of connections."""

    host: str
    """A dotted IPv4 address, an IPv6 one without brackets in its shortest form, or a name in lower case."""
    port: int
    """1 to 65535."""
    tls: bool = False
    name: str | None = None
    """What the certificate must name, where `host` is the address that a name was found to have."""

    @classmethod
    def parse(cls, service_url: str) -> Self:
        """Give the origin that `service_url` means.

        Strict, because what is lenient here reaches places that nobody allowed: `http` or `https`, a dotted IPv4
        address, a bracketed IPv6 one or a DNS name, an explicit port, and nothing else: no user info, path, query or
        fragment, and no name that a resolver takes for an address (`2130706433`, `0x7f.1`).

        Raises `ValueError`, which says what is wrong.
        """
        scheme, found, authority = service_url.partition("://")
        if not found or scheme not in _TLS_OF_SCHEME:
            raise ValueError(f"cannot use {service_url!r}: it must begin with http:// or https://")
        host, found, port = authority.rpartition(":")
        if not found or not _is_port(port):
            raise ValueError(f"cannot use {service_url!r}: it must end with a port, 1 to {_MAX_PORT}")
        try:
            return cls(_read_host(host), int(port), _TLS_OF_SCHEME[scheme])
        except ValueError as error:
            raise ValueError(f"cannot use {service_url!r}: {error}") from error

    @property
    def authority(self) -> str:
        """The `Host` header's value: with the port, an IPv6 address in brackets (RFC 9110, section 7.2)."""
        host = self.name or self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.authority}"


def _is_port(text: str) -> bool:
    """Tell whether `text` is a decimal port, without sign, space, leading zero or digits of other scripts."""
    digits = text.isascii() and text.isdigit() and len(text) <= _MAX_PORT_DIGITS and not text.startswith("0")
    return digits and int(text) <= _MAX_PORT


def _read_host(text: str) -> str:
    """Give the host as `Origin` keeps it. Raises `ValueError` for what is neither an address nor a name."""
    if text.startswith("[") and text.endswith("]"):
        address = ipaddress.IPv6Address(text[1:-1])
        if address.scope_id is not None:
            raise ValueError("an address with a zone means nothing to another machine")
        return str(address)
    name = text.lower()
    last = name.rpartition(".")[2]
    if last.isdigit() or last.startswith("0x"):  # the name of an address, in some spelling: only the usual one is taken
        return str(ipaddress.IPv4Address(name))
    if len(name) > _MAX_NAME or not all(map(_is_label, name.split("."))):
        raise ValueError("its host is neither an address nor a name")
    return name


def _is_label(text: str) -> bool:
    """Tell whether `text` can stand between the dots of a name. `_` is taken: container names have it."""
    inside = 0 < len(text) <= _MAX_LABEL and _NAME_CHARACTERS.issuperset(text)
    return inside and not text.startswith("-") and not text.endswith("-")
