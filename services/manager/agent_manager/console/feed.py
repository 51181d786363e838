"""Everything that a console's pages follow, in one stream: a browser has six connections for one origin, in all tabs.

The frames are those of the public streams: `listing` and `agent` of the listing, the journal's with the prefix
`journal-`, and `past` and `step` of the samples. `hello` comes first, and `bye` last where the reader may look no
longer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final

import msgspec
from agent_contract import __version__
from agent_contract.problems import Problem
from agent_contract.sse import encode_event
from msgspec import Struct

from agent_manager.console.assets import console
from agent_manager.journal import Journal
from agent_manager.listing import Listing
from agent_manager.samples import STEP_SECONDS, Samples

_RECENT: Final = 300
"""Events that a page begins with."""


class Hello(Struct, rename="camel", frozen=True):
    """What a page needs to know before anything else."""

    console: str
    """Another version than the page's own: it should be loaded again."""
    version: str
    started_at: datetime
    now: datetime
    """For ages: the browser's clock may be wrong."""
    step_seconds: float


class Feed:
    """Makes the stream of a page."""

    def __init__(
        self, listing: Listing, journal: Journal, samples: Samples, started_at: datetime, wall: Callable[[], datetime]
    ) -> None:
        self._listing = listing
        self._journal = journal
        self._samples = samples
        self._started_at = started_at
        self._wall = wall

    async def follow(self, last_event_id: str | None) -> AsyncIterator[bytes]:
        """Give the frames, without an end of their own."""
        hello = Hello(console().version, __version__, self._started_at, self._wall(), STEP_SECONDS)
        yield encode_event("hello", msgspec.json.encode(hello))
        queue: asyncio.Queue[bytes] = asyncio.Queue(1)
        journal = self._events(last_event_id)
        sources = (self._listing.watch(), self._samples.follow(), journal)
        pumps = [asyncio.create_task(_pump(source, queue)) for source in sources]
        ended = asyncio.ensure_future(asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED))
        try:
            while not (ended.done() and queue.empty()):
                coming = asyncio.ensure_future(queue.get())
                await asyncio.wait((coming, ended), return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    coming.cancel()
                    continue
                yield coming.result()
            for pump in ended.result()[0]:
                pump.result()  # raises what went wrong
        finally:
            for task in (ended, *pumps):
                task.cancel()
            await asyncio.wait((ended, *pumps))

    async def _events(self, last_event_id: str | None) -> AsyncIterator[bytes]:
        """Give the journal's frames under names of their own: its `agent` is not the listing's."""
        after = self._journal.last_id if last_event_id is None else last_event_id
        if last_event_id is None and (recent := self._journal.recent(_RECENT)):
            yield _renamed(b"".join(recent))
        async for frames in self._journal.follow(after):
            yield _renamed(frames)


def bye(problem: Problem) -> bytes:
    """Give the last frame of a reader who may look no longer: the page asks to sign in again."""
    return encode_event("bye", problem.body())


def _renamed(frames: bytes) -> bytes:
    # data is JSON without a line end in it: "event: " at the start of a line is the field
    return (b"\n" + frames).replace(b"\nevent: ", b"\nevent: journal-")[1:]


async def _pump(source: AsyncIterator[bytes], queue: asyncio.Queue[bytes]) -> None:
    async for frames in source:
        await queue.put(frames)
