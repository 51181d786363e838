"""Which issuer is believed, what its tokens are for, and which role a claim means."""

from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import urlsplit

from agent_contract.loading import ConfigurationError
from agent_contract.loopback import is_loopback
from agent_contract.shown import shown_url
from msgspec import Struct

from agent_manager.agent_client import Origin

Role = Literal["viewer", "operator", "admin"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "admin")
"""From the one that may least to the one that may most."""
_HTTPS: Final = 443


class OidcSettings(Struct, frozen=True):
    """How tokens of an issuer are read."""

    issuer: str
    """Exactly as its tokens and its discovery document say it."""
    audience: str
    role_claim: str
    """`a.b` is the member `b` of the claim `a`, where no claim is called `a.b`."""
    name_claim: str
    roles: Mapping[str, Role]
    """The role that each value of the claim means."""


def read_settings(process: Mapping[str, str]) -> OidcSettings | None:
    """Give the settings of `MANAGER_OIDC_*`, or None where no issuer is named; raises ConfigurationError."""
    issuer = process.get("MANAGER_OIDC_ISSUER")
    if not issuer:
        return None
    try:
        locate(issuer)
    except ValueError as error:
        raise ConfigurationError("MANAGER_OIDC_ISSUER", str(error)) from error
    audience = process.get("MANAGER_OIDC_AUDIENCE")
    if not audience:
        raise ConfigurationError("MANAGER_OIDC_AUDIENCE", "is not set: a token for anybody must not open this manager")
    return OidcSettings(
        issuer=issuer,
        audience=audience,
        role_claim=process.get("MANAGER_OIDC_ROLE_CLAIM") or "roles",
        name_claim=process.get("MANAGER_OIDC_NAME_CLAIM") or "sub",
        roles=_roles(process.get("MANAGER_OIDC_ROLES", "")),
    )


def locate(url: str) -> tuple[Origin, str]:
    """Give the place and the target of a URL of the issuer's.

    Raises:
        ValueError: it is not https (http is enough on this machine), or it is more than a host, a port and a path.

    """
    parts = urlsplit(url)
    host, tls = parts.hostname, parts.scheme == "https"
    if not host or not url.isascii() or parts.username is not None or parts.fragment:
        raise ValueError(f"cannot use {shown_url(url)!r}: not the URL of an issuer")
    if not tls and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError(f"cannot use {url!r}: https is needed, for whoever stands between could give keys of his own")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Origin(host, parts.port or (_HTTPS if tls else 80), tls), target


def _roles(text: str) -> dict[str, Role]:
    """Read `admin=ops-team,operator=dev-team`; without it the claim holds our own names."""
    found: dict[str, Role] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        role, _, value = pair.partition("=")
        if role not in ROLES or not value:
            raise ConfigurationError("MANAGER_OIDC_ROLES", f"{pair!r}: write one of {', '.join(ROLES)}, = and a value")
        found[value] = role
    return found or {role: role for role in ROLES}
