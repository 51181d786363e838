"""What the manager says to prove who it is, so that no agent learns what opens another one.

An instance that came with the shared token gets the shared token. One that came with a token of its own gets a JWT
signed with that very token, for its agent alone. One that has not come yet is asked with what its agent's own token
signs, where it has one; the shared token is said to it only where all agents have it.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import jwt
from agent_contract.tokens import ALGORITHM, HEADER, ISSUER, SIGNED_SECONDS, signing_key
from msgspec import Struct

from agent_manager.agent_client import Origin
from agent_manager.credentials import Credentials

Headers = list[tuple[bytes, bytes]]
Proof = Callable[[str, Origin], Headers]
"""Gives the headers that prove to an agent at a place who asks."""

_RENEW_SECONDS: Final = 30.0
"""Half of its life: one that was just sent is good for as long as a request may take to arrive."""
_MOST: Final = 40_000
"""Twice as many as instances can be known. One that is forgotten is known again with its next beat."""
_STEP_SECONDS: Final = 2.0
"""A wall clock that moved by more was set: adapters hear of the new time with their next beat and go by it."""
_NAME: Final = HEADER.lower().encode()
K = TypeVar("K")
V = TypeVar("V")


class _Signed(Struct, frozen=True):
    """A signed token; `offset` is how far the wall clock was ahead of the monotonic one."""

    text: bytes
    renew_at: float
    offset: float


class AgentProofs:
    """Remembers by which token each instance came, and signs with it."""

    def __init__(self, credentials: Credentials, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._credentials = credentials
        self._clock = clock
        self._wall = wall
        self._came_with: dict[tuple[str, Origin], bytes | None] = {}
        self._signed: dict[tuple[str, bytes], _Signed] = {}

    def came(self, agent_id: str, origin: Origin, token: bytes | None) -> None:
        """Take note that an instance came with a token of its own; with None it was the shared one."""
        _keep(self._came_with, (agent_id, origin), token)

    def headers(self, agent_id: str, origin: Origin) -> Headers:
        """Give the header that proves to this instance who asks; none where it has nothing to hold it against."""
        key = (agent_id, origin)
        known = self._came_with
        own = known[key] if key in known else self._credentials.first_token_of(agent_id)
        if own is not None:
            return [(_NAME, self._signature(agent_id, own))]
        shared = self._credentials.manager_token
        if shared is None or (key not in known and self._credentials.reviews_tokens):
            return []
        return [(_NAME, shared.encode())]

    def _signature(self, agent_id: str, token: bytes) -> bytes:
        signed, now, wall = self._signed.get((agent_id, token)), self._clock(), self._wall()
        if signed is None or now >= signed.renew_at or abs(wall - now - signed.offset) > _STEP_SECONDS:
            claims = {"iss": ISSUER, "aud": agent_id, "iat": int(wall), "exp": int(wall) + SIGNED_SECONDS}
            text = jwt.encode(claims, signing_key(token), ALGORITHM).encode()
            signed = _Signed(text, now + _RENEW_SECONDS, wall - now)
            _keep(self._signed, (agent_id, token), signed)
        return signed.text


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    """Keep it as the last; of too many the one goes that was not kept anew for the longest time."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > _MOST:
        del kept[next(iter(kept))]
