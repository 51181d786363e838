"""Whom a token of the issuer stands for (RFC 7519, with the advice of RFC 8725).

The algorithm is that of the key, not what the token says of itself: `none`, and a public key taken for a shared secret,
open nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

import jwt
from msgspec import Struct

from agent_manager.oidc.issuer import Issuer, Key
from agent_manager.oidc.settings import ROLES, OidcSettings, Role

_LONGEST: Final = 8192
_LEEWAY_SECONDS: Final = 60
"""How far the issuer's clock may be from this one."""
_GOOD_SECONDS: Final = 30.0
"""How long a signature is not checked again, which takes 50 to 200 us."""
_MOST_GOOD: Final = 1000
_WAIT_SECONDS: Final = 2.0
"""How long a request waits for keys that are newer than those known."""
_LONGEST_NAME: Final = 64


class Person(Struct, frozen=True):
    """Who was vouched for. `name` begins with `oidc:`; without a role there is nothing that they may do."""

    name: str
    role: Role | None


class _Good(Struct, frozen=True):
    person: Person
    key: Key
    until: float


class OidcTokens:
    """Reads the tokens of one issuer."""

    def __init__(self, settings: OidcSettings, issuer: Issuer, clock: Callable[[], float]) -> None:
        self.issuer = issuer
        self._settings = settings
        self._clock = clock
        self._good: dict[bytes, _Good] = {}

    def read(self, token: bytes) -> Person | None:
        """Give whom a token stands for; None for one that is not good. Synchronous: it asks nobody."""
        if not _looks_right(token):
            return None
        digest, now = sha256(token).digest(), self._clock()
        known = self._good.get(digest)
        if known is not None and now < known.until and known.key in self.issuer.keys.values():
            return known.person
        key = self.issuer.keys.get(_key_id(token) or "")
        claims = None if key is None else self._claims(token, key)
        if key is None or claims is None:
            return None
        person = Person(self._name(claims), self._role(claims))
        if len(self._good) >= _MOST_GOOD:
            self._good.clear()
        self._good[digest] = _Good(person, key, now + _GOOD_SECONDS)
        return person

    def to_ask(self, token: bytes) -> Coroutine[Any, Any, None] | None:
        """Give what is to be awaited before `read`: the issuer's keys, where it signed with one that is not known."""
        if not _looks_right(token):
            return None
        kid = _key_id(token)
        if kid is None or kid in self.issuer.keys:
            return None
        turned = self.issuer.ask()
        return None if turned is None else _bounded(turned)

    def _claims(self, token: bytes, key: Key) -> dict[str, Any] | None:
        settings, required = self._settings, ["iss", "aud", "exp", "sub"]
        options: Any = {"require": required}
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.material,
                list(key.algorithms),
                options,
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=_LEEWAY_SECONDS,
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            return None
        return claims

    def _name(self, claims: dict[str, Any]) -> str:
        named = claims.get(self._settings.name_claim)
        return "oidc:" + quote(str(named or claims["sub"]), safe="@|:+")[:_LONGEST_NAME]

    def _role(self, claims: dict[str, Any]) -> Role | None:
        """Give the highest role that the claim means; a text may hold several, with spaces between, as scopes do."""
        said = _member(claims, self._settings.role_claim)
        values = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
        roles = {self._settings.roles.get(value) for value in values if isinstance(value, str)}
        return next((role for role in reversed(ROLES) if role in roles), None)


async def _bounded(turned: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_WAIT_SECONDS):
            await turned.wait()


def _looks_right(token: bytes) -> bool:
    return token.count(b".") == 2 and len(token) <= _LONGEST and token.isascii()  # noqa: PLR2004  # a JWT's parts


def _key_id(token: bytes) -> str | None:
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    return kid if isinstance(kid, str) else None


def _member(claims: dict[str, Any], path: str) -> Any:  # noqa: ANN401  # any JSON value
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found
