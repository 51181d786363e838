"""Which pod said this token, remembered so that not every beat asks the cluster.

A good token is asked for again after a minute: within that it opens something though it was revoked. While the API
server does not answer, one that was good stays good until it is over by itself: calls and beats do not stop with it.
"""

import asyncio
import base64
from collections.abc import Callable, Coroutine
from hashlib import sha256
from typing import Any, Final, Protocol

import msgspec
import structlog
from agent_contract.problems import Problem
from msgspec import Struct

from agent_manager.cluster.api import ApiFailed, ApiUnreachable

GOOD_SECONDS: Final = 60.0
BAD_SECONDS: Final = 10.0
"""For one that was refused: an adapter that tries on asks the cluster six times a minute, not each second."""
_AGAIN_SECONDS: Final = 5.0
"""While the API server does not answer."""
_MOST: Final = 20_000
"""As many as instances can be known."""
_AT_ONCE: Final = 8
_MOST_WAITING: Final = 1000
"""More are told to come again: a flood of made-up tokens must not become one of requests to the API server."""
_LONGEST: Final = 8192

log = structlog.stdlib.get_logger(__name__)


class Reviewer(Protocol):
    """Who knows whose a token is."""

    async def pod_of(self, token: str) -> str | None:
        """Give the UID of its pod; raises ApiFailed and ApiUnreachable."""


class _Known(Struct, frozen=True):
    pod_uid: str | None
    look_at: float
    expires_at: float
    """Unix time, as the token says itself; 0 where it was refused."""


class ReviewedTokens:
    """The tokens that were asked for, with their pods and so their agents."""

    def __init__(
        self,
        reviewer: Reviewer,
        agent_of_pod: Callable[[str], str | None],
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._reviewer = reviewer
        self._agent_of_pod = agent_of_pod
        self._clock = clock
        self._wall = wall
        self._known: dict[bytes, _Known] = {}
        self._asking: dict[bytes, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._trouble = ""

    def agent_of(self, token: bytes) -> str | None:
        """Give the agent whose pod said this token, or None: unknown, refused, or its pod was not seen yet."""
        known = self._known.get(sha256(token).digest())
        return None if known is None or known.pod_uid is None else self._agent_of_pod(known.pod_uid)

    def to_ask(self, token: bytes) -> Coroutine[Any, Any, None] | None:
        """Give what is to be awaited before `agent_of` is right; None where that is known, or it is no such token.

        The awaitable raises Problem 503 `unavailable` where the cluster cannot be asked.
        """
        if token.count(b".") != 2 or len(token) > _LONGEST or not token.isascii():  # noqa: PLR2004  # a JWT's parts
            return None
        digest = sha256(token).digest()
        known = self._known.get(digest)
        if known is not None and self._clock() < known.look_at:
            return None
        return self._ask(digest, token.decode("ascii"))

    async def _ask(self, digest: bytes, token: str) -> None:
        """Ask once for all who wait for the same token; whoever leaves takes nothing from the others."""
        asking = self._asking.get(digest)
        if asking is None:
            if len(self._asking) >= _MOST_WAITING:
                raise Problem("unavailable", "too many tokens wait for the cluster", headers={"Retry-After": "1"})
            asking = self._asking[digest] = asyncio.create_task(self._review(digest, token))
            asking.add_done_callback(lambda task: self._asked(digest, task))
        await asyncio.shield(asking)

    def _asked(self, digest: bytes, task: asyncio.Task[None]) -> None:
        del self._asking[digest]
        if not task.cancelled():
            task.exception()  # nobody may be left to take it

    async def _review(self, digest: bytes, token: str) -> None:
        async with self._slots:
            try:
                uid = await self._reviewer.pod_of(token)
            except (ApiFailed, ApiUnreachable) as error:
                self._in_trouble(str(error))
                if not self._stays_good(digest):
                    raise Problem(
                        "unavailable", "the cluster cannot be asked whose token this is", headers={"Retry-After": "5"}
                    ) from error
                return
        self._trouble = ""
        seconds = BAD_SECONDS if uid is None else GOOD_SECONDS
        self._keep(digest, _Known(uid, self._clock() + seconds, 0.0 if uid is None else _expiry(token)))

    def _stays_good(self, digest: bytes) -> bool:
        known = self._known.get(digest)
        if known is None or known.pod_uid is None or self._wall() >= known.expires_at:
            self._known.pop(digest, None)
            return False
        self._keep(digest, msgspec.structs.replace(known, look_at=self._clock() + _AGAIN_SECONDS))
        return True

    def _keep(self, digest: bytes, known: _Known) -> None:
        self._known.pop(digest, None)
        self._known[digest] = known
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]

    def _in_trouble(self, reason: str) -> None:
        if reason != self._trouble:
            self._trouble = reason
            log.warning("the cluster cannot be asked whose token this is", reason=reason)


class _Claims(Struct):
    exp: float = 0.0


def _expiry(token: str) -> float:
    """Give when a token that the cluster took for good is over, in Unix time; 0 where it does not say."""
    claims = token.split(".")[1]
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)), type=_Claims).exp
    except (ValueError, msgspec.MsgspecError):
        return 0.0
