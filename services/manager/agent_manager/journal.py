"""What happened lately: the last 10,000 events, as a stream that can be resumed."""

import asyncio
import itertools
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final, Literal

import msgspec
import structlog
from agent_contract.sse import encode_event
from msgspec import UNSET, Struct, UnsetType

Kind = Literal["agent", "action", "drain", "verdict"]
Level = Literal["info", "warning"]

KEPT: Final = 10_000
_BATCH: Final = 100
"""How many frames are made before the loop has its turn."""

log = structlog.stdlib.get_logger(__name__)


class Entry(Struct, rename="camel", frozen=True):
    """An event as its readers see it."""

    time: datetime
    agent: str
    instance_id: str | UnsetType
    by: str | UnsetType
    code: str
    message: str


Subscriber = Callable[[Kind, Entry, Level], None]


class Journal:
    """The last events of this manager. Ids begin with a text of this process: an id of an earlier one is unknown."""

    def __init__(self, wall: Callable[[], datetime], *, kept: int = KEPT) -> None:
        self._wall = wall
        self._epoch = secrets.token_hex(4)
        self._frames: deque[bytes] = deque(maxlen=kept)
        self._last = 0
        self._followers: set[asyncio.Event] = set()
        self.subscribers: list[Subscriber] = []
        """Called synchronously with each event."""

    @property
    def last_id(self) -> str:
        """The id of the last event: what follows it has not happened yet."""
        return f"{self._epoch}-{self._last}"

    def record(
        self,
        kind: Kind,
        agent: str,
        code: str,
        message: str,
        *,
        instance_id: str | None = None,
        by: str | None = None,
        level: Level = "info",
    ) -> None:
        """Note an event, log it, and wake who follows."""
        self._last += 1
        entry = Entry(self._wall(), agent, UNSET if instance_id is None else instance_id, by or UNSET, code, message)
        self._frames.append(encode_event(kind, msgspec.json.encode(entry), f"{self._epoch}-{self._last}"))
        for follower in self._followers:
            follower.set()
        for subscriber in self.subscribers:
            subscriber(kind, entry, level)
        facts = {"instance_id": instance_id, "by": by}
        said = {name: value for name, value in facts.items() if value is not None}
        (log.warning if level == "warning" else log.info)(
            "event", kind=kind, agent=agent, code=code, detail=message, **said
        )

    def recent(self, count: int, agent: str | None = None) -> list[bytes]:
        """Give the frames of the last events, of one agent or of all, oldest first."""
        mark = b"" if agent is None else b'"agent":%b,' % msgspec.json.encode(agent)
        found = itertools.islice((frame for frame in reversed(self._frames) if mark in frame), count)
        return list(found)[::-1]

    async def follow(self, last_event_id: str | None = None) -> AsyncIterator[bytes]:
        """Give the events after `last_event_id` (None: from now on) as SSE frames, for ever.

        An id that is unknown or too old gets `reset` first and then all that is kept; a follower that falls behind by
        more than is kept gets the same.
        """
        sent = self._position(last_event_id)
        woken = asyncio.Event()
        self._followers.add(woken)
        try:
            while True:
                oldest = self._last - len(self._frames)
                if sent is None or sent < oldest:
                    sent = oldest
                    yield encode_event("reset", b"{}")
                elif sent < self._last:
                    batch = self._after(sent)
                    sent += len(batch)
                    yield b"".join(batch)
                else:
                    woken.clear()
                    await woken.wait()
        finally:
            self._followers.discard(woken)

    def _position(self, last_event_id: str | None) -> int | None:
        """Give the number of the last event that the reader has; None where its id is unknown."""
        if last_event_id is None:
            return self._last
        epoch, _, number = last_event_id.partition("-")
        known = epoch == self._epoch and number.isascii() and number.isdigit() and len(number) < 16  # noqa: PLR2004  # any int
        return int(number) if known and int(number) <= self._last else None

    def _after(self, number: int) -> list[bytes]:
        """Give the frames after that event, oldest first, at most a batch."""
        start = number - (self._last - len(self._frames))
        return [self._frames[index] for index in range(start, min(start + _BATCH, len(self._frames)))]
