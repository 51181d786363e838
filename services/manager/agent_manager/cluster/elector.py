"""Which of several managers acts, by a Lease and the rules of client-go's elector.

The clocks of two machines are never compared: another's lease runs out when this manager saw it unchanged for its
duration, by this manager's monotonic clock. One's own counts from before the request that renewed it was sent, and for
less than the duration: whoever held it has stopped before the next one begins, also where the API server hangs.
"""

import asyncio
import contextlib
import math
import random
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog
from msgspec import Struct

from agent_manager.cluster.api import ApiFailed, ApiUnreachable, ClusterApi
from agent_manager.cluster.lease import Lease, Leases
from agent_manager.leadership import Holder

_RELEASE_SECONDS: Final = 2.0
"""How long giving it back may take: an exit does not wait for an API server that is away."""
_JITTER: Final = 0.2
"""Of the wait between looks, so that managers that started together do not ask together."""
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409

log = structlog.stdlib.get_logger(__name__)


class LeaseTiming(Struct, frozen=True, kw_only=True):
    """The durations of an election, in seconds."""

    duration_seconds: float = 15.0
    """How long others leave a lease alone that does not change."""
    renew_deadline_seconds: float = 10.0
    """How long its holder acts without having renewed it."""
    retry_seconds: float = 2.0
    request_seconds: float = 5.0
    """How long one look or renewal may take: two of them fit before the deadline."""


DEFAULTS: Final = LeaseTiming()


class LeaseElector:
    """Seeks the lease, holds it, and knows who does."""

    def __init__(
        self,
        api: ClusterApi,
        *,
        identity: str,
        address: str | None,
        clock: Callable[[], float],
        wall: Callable[[], datetime],
        timing: LeaseTiming = DEFAULTS,
    ) -> None:
        self.identity = identity
        """Of this very process: one that comes after it in the same pod is another."""
        self.lost: list[Callable[[], None]] = []
        self._leases = Leases(
            api, identity=identity, address=address, duration_seconds=timing.duration_seconds, wall=wall
        )
        self._clock = clock
        self._timing = timing
        self._seen: Lease | None = None
        self._changed_at = 0.0
        """When it was last seen to change."""
        self._renewed_at: float | None = None
        self._leads = False
        self._trouble: str | None = None

    @property
    def is_leader(self) -> bool:
        """Whether this manager may act: it renewed the lease within the deadline."""
        return self._renewed_at is not None and self._left() > 0

    @property
    def holder(self) -> Holder | None:
        """Who holds the lease, as far as this manager saw; None where it is free or was not renewed in time."""
        lease = self._seen
        if lease is None or not lease.holder or self._ran_out(lease):
            return None
        if lease.holder == self.identity and not self.is_leader:
            return None
        return Holder(lease.holder, lease.origin)

    @property
    def trouble(self) -> str | None:
        """Why the lease cannot be seen or taken."""
        return self._trouble

    async def run(self, leaving: asyncio.Event) -> None:
        """Seek and hold the lease until `leaving` is set or this is cancelled; then give it back."""
        try:
            while not leaving.is_set():
                await self._look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause()):
                        await leaving.wait()
        finally:
            giving_back = asyncio.create_task(self._give_back())  # bounded by itself
            try:
                await asyncio.shield(giving_back)
            except asyncio.CancelledError:  # an idle manager exits the moment that it leaves: this it waits for
                await giving_back
                raise

    async def _look(self) -> None:
        self._lose_if_late()  # this process was suspended: what it was about to do is not done
        sent_at = self._clock()
        try:
            async with asyncio.timeout(min(self._timing.request_seconds, self._left())):
                await self._take_or_renew(sent_at)
        except (ApiFailed, ApiUnreachable, TimeoutError) as error:
            self._note(str(error) or "the API server did not answer in time")
        else:
            self._note(None)
        self._lose_if_late()

    async def _take_or_renew(self, sent_at: float) -> None:
        """Renew what is ours, by what was last seen of it; else look, and take it if it is free."""
        if not self.is_leader:
            self._see(await self._leases.read())
        lease = self._seen
        if lease is not None and not (lease.holder in ("", self.identity) or self._ran_out(lease)):
            self._renewed_at = None
            return
        try:
            mine = await self._leases.claim(lease)
        except ApiFailed as error:
            if error.status not in (_CONFLICT, _NOT_FOUND):
                raise
            self._see(await self._leases.read())  # somebody else wrote or deleted it: what is there is judged next time
            if self._seen is None or self._seen.holder != self.identity:
                self._renewed_at = None
            return
        self._see(mine)
        self._renewed_at = sent_at
        if not self._leads:
            self._leads = True
            log.info("leads from now on", identity=self.identity, transitions=mine.spec.lease_transitions)

    def _see(self, lease: Lease | None) -> None:
        if lease is None or self._seen is None or lease.spec != self._seen.spec:
            self._changed_at = self._clock()
        self._seen = lease

    def _ran_out(self, lease: Lease) -> bool:
        duration = lease.spec.lease_duration_seconds or self._timing.duration_seconds
        return self._clock() >= self._changed_at + duration

    def _left(self) -> float:
        """Give how many seconds this manager may still act without another renewal; for ever where it does not."""
        if self._renewed_at is None:
            return math.inf
        return max(0.0, self._renewed_at + self._timing.renew_deadline_seconds - self._clock())

    def _pause(self) -> float:
        jitter = 1 + random.random() * _JITTER  # noqa: S311  # spreads load, hides nothing
        return min(self._timing.retry_seconds * jitter, self._left())

    def _lose_if_late(self) -> None:
        if self._leads and not self.is_leader:
            log.warning("leads no more", identity=self.identity, detail=self._trouble)
            self._lose()

    def _lose(self) -> None:
        self._leads, self._renewed_at = False, None
        for callback in tuple(self.lost):
            callback()

    def _note(self, trouble: str | None) -> None:
        """Log once that the lease is out of reach, and once that it is not any more."""
        if trouble is not None and self._trouble is None:
            log.warning("lease out of reach", identity=self.identity, leads=self._leads, detail=trouble)
        elif trouble is None and self._trouble is not None:
            log.info("lease within reach again", identity=self.identity)
        self._trouble = trouble

    async def _give_back(self) -> None:
        """Let the next manager take the lease when it looks; whoever gives it back has stopped acting before."""
        lease, led = self._seen, self._leads and self.is_leader
        if self._leads:
            log.info("gives the lease back", identity=self.identity)
            self._lose()
        if lease is None or not led:
            return
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                await self._give_back_as_it_is(lease)
        except (ApiFailed, ApiUnreachable, TimeoutError) as error:
            log.warning("lease not given back: it runs out", identity=self.identity, detail=str(error))

    async def _give_back_as_it_is(self, lease: Lease) -> None:
        """Give it back, also where a renewal that was cancelled arrived all the same."""
        try:
            await self._leases.give_back(lease)
        except ApiFailed as error:
            now = await self._leases.read() if error.status == _CONFLICT else None
            if now is None or now.holder != self.identity:
                raise
            await self._leases.give_back(now)
