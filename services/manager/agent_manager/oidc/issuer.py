"""The keys that an issuer publishes (OpenID Connect Discovery 1.0; JWK Set, RFC 7517), fetched beside the requests.

Those known stay while the issuer is away: a token is good because of its signature and its times, not because the
issuer answers just now.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt
import msgspec
import structlog
from msgspec import Struct

from agent_manager.agent_client import AgentClient, CallError
from agent_manager.oidc.settings import locate

ANSWER_BYTES: Final = 512 * 1024
"""Of a document; a real one has a few KiB."""
_SECONDS: Final = 5.0
_FRESH_SECONDS: Final = 300.0
"""How long a key that the issuer withdrew may still count."""
_AGAIN_SECONDS: Final = 30.0
"""Between two tries while there are none, and at most because of a key that is not known: anyone can make one up."""
_MOST_KEYS: Final = 64
_LEAST_RSA_BITS: Final = 2048
_OK: Final = 200

log = structlog.stdlib.get_logger(__name__)


class OidcFailed(Exception):  # noqa: N818  # what happened
    """The issuer gave no sound document."""


class Key(Struct, frozen=True):
    """A public key, and the algorithms that it may have signed with: never more than its own kind of key does."""

    material: Any
    algorithms: tuple[str, ...]


class _Discovery(Struct):
    issuer: str
    jwks_uri: str


class _Keys(Struct):
    keys: list[dict[str, Any]]


class Issuer:
    """An issuer and its keys by their ids."""

    def __init__(self, issuer: str, client: AgentClient, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._client = client
        self._clock = clock
        self._asked = asyncio.Event()
        self._turned = asyncio.Event()
        self._tried_at = float("-inf")
        self._turning = False
        self._trouble = ""
        self.keys: Mapping[str, Key] = {}
        """By `kid`; replaced as a whole, never changed."""

    async def run(self) -> None:
        """Fetch the keys, again and again, for ever."""
        while True:
            self._asked.clear()
            self._tried_at, self._turning = self._clock(), True
            await self._turn()
            self._turning = False
            self._turned.set()
            self._turned = asyncio.Event()
            await self._pause(_FRESH_SECONDS if self.keys and not self._trouble else _AGAIN_SECONDS)

    def ask(self) -> asyncio.Event | None:
        """Ask for the keys now; gives what tells that it was tried, None where that was done a moment ago."""
        if self._turning:
            return self._turned
        if self._clock() - self._tried_at < _AGAIN_SECONDS:
            return None
        self._asked.set()
        return self._turned

    async def fetch(self) -> Mapping[str, Key]:
        """Give the keys as the issuer publishes them now; raises OidcFailed."""
        found = await self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration", _Discovery)
        if found.issuer != self._issuer:
            raise OidcFailed(f"its discovery document is that of {found.issuer[:200]!r}")
        listed = await self._get(found.jwks_uri, _Keys)
        keys = dict(filter(None, (_key(one) for one in listed.keys[:_MOST_KEYS])))
        if not keys:
            raise OidcFailed("it publishes no key that can be used")
        return keys

    async def _turn(self) -> None:
        """Fetch once. Whatever goes wrong, those known before stay, and there is a next turn."""
        try:
            keys = await self.fetch()
        except OidcFailed as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.warning("the issuer's keys cannot be read", issuer=self._issuer, reason=str(error))
            return
        self._trouble = ""
        if keys.keys() != self.keys.keys():
            log.info("the issuer's keys were read", issuer=self._issuer, keys=len(keys))
        self.keys = keys

    async def _get(self, url: str, kind: type[Any]) -> Any:  # noqa: ANN401  # a value of that type
        try:
            origin, target = locate(url)
            answer = await self._client.request(
                origin, "GET", target, [(b"accept", b"application/json")], timeout_seconds=_SECONDS
            )
            if answer.status != _OK:
                raise OidcFailed(f"{url} answered {answer.status}")
            return msgspec.json.decode(answer.body, type=kind)
        except (CallError, ValueError, RecursionError, msgspec.MsgspecError) as error:
            raise OidcFailed(f"cannot read {url}: {error}") from error

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._asked.wait()


def _key(found: dict[str, Any]) -> tuple[str, Key] | None:
    """Give a key that signs, with its id; None for any other: symmetric, for encryption, too short, of no id."""
    kid, use, said = found.get("kid"), found.get("use", "sig"), found.get("alg")
    able = _algorithms(found)
    algorithms = able if said is None else tuple(one for one in able if one == said)
    if not isinstance(kid, str) or use != "sig" or not algorithms:
        return None
    try:
        material = jwt.PyJWK(found, algorithms[0]).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    too_short = found.get("kty") == "RSA" and material.key_size < _LEAST_RSA_BITS
    return None if too_short else (kid, Key(material, algorithms))


def _algorithms(found: dict[str, Any]) -> tuple[str, ...]:
    match found.get("kty"), found.get("crv"):
        case "RSA", _:
            return "RS256", "PS256"
        case "EC", "P-256":
            return ("ES256",)
        case "OKP", "Ed25519":
            return ("EdDSA",)
        case _:
            return ()
