"""A reflector that runs against a fake API server, and what it told of."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from agent_manager.background import Background
from agent_manager.cluster.api import ClusterApi
from agent_manager.cluster.collection import Collection
from agent_manager.cluster.objects import AGENT_LABEL, Metadata
from agent_manager.cluster.pace import Pace
from agent_manager.cluster.reflector import Reflector
from agent_manager.cluster.watch_health import WatchHealth
from msgspec import Raw

from tests.manager.fake_api_server import FakeApiServer
from tests.manager.stage import EPOCH, Clock

POD_COLLECTION = Collection("/api/v1", "pods", "here")
HASTE = Pace(shortest=0.005, longest=0.02, steady=0.2, inactivity=5.0)
"""Fast, for tests that do not look at pauses."""


def labelled(name: str, **facts: Any) -> dict[str, Any]:
    """Give an object of an agent."""
    return {"metadata": {"name": name, "labels": {AGENT_LABEL: "echo"}}, **facts}


async def opened(server: FakeApiServer) -> None:
    """Wait until a watch is open."""
    await server.until(lambda: server.watching("pods") == 1)


async def reopened(server: FakeApiServer, count: int) -> None:
    """Wait until so many watches have begun, and one is open."""
    await server.until(lambda: len(server.asked("watch", "pods")) >= count and server.watching("pods") == 1)


class Recorder:
    """A mirror: what is there by what it was told, and everything that it was told."""

    def __init__(self) -> None:
        self.there: dict[str, str] = {}
        """Names, by uid."""
        self.told: list[str] = []
        self.woken = asyncio.Event()
        self.on_seen: Callable[[Metadata], None] = lambda _: None

    def seen(self, metadata: Metadata, thing: Raw) -> None:
        """Take an object."""
        assert metadata.name.encode() in bytes(thing)
        self.on_seen(metadata)
        self.there[metadata.uid] = metadata.name
        self._note(f"seen {metadata.name}")

    def gone(self, uid: str) -> None:
        """Take that one is gone."""
        self._note(f"gone {self.there.pop(uid)}")

    def listed(self) -> None:
        """Take that all was told."""
        self._note("listed")

    def names(self) -> list[str]:
        """Give the names of what is there."""
        return sorted(self.there.values())

    async def until(self, *names: str) -> None:
        """Wait until exactly these are there, and a list was told."""
        async with asyncio.timeout(10):
            while self.names() != sorted(names) or "listed" not in self.told:
                self.woken.clear()
                await self.woken.wait()

    def _note(self, text: str) -> None:
        self.told.append(text)
        self.woken.set()


class Pausing:
    """Sleeps in no time: notes each pause, and moves a clock by it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.pauses: list[float] = []
        self._moved = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        """Pause."""
        self.pauses.append(seconds)
        self.clock.now += seconds
        self._moved.set()
        await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        """Wait until so much time has passed."""
        end = self.clock.now + seconds
        async with asyncio.timeout(20):
            while self.clock.now < end:
                self._moved.clear()
                await self._moved.wait()


class Watching:
    """A reflector of the pods of namespace `here`."""

    def __init__(self, api: ClusterApi, pace: Pace, *, paused: bool) -> None:
        self.mirror = Recorder()
        self.background = Background()
        self.health = WatchHealth(["here"], wall=lambda: EPOCH)
        self.health.changed = lambda _: self.changed.set()
        self.changed = asyncio.Event()
        self.watch = self.health.watch("here", "pods")
        self.clock = Clock()
        self.pausing = Pausing(self.clock)
        self.reflector = Reflector(
            api,
            POD_COLLECTION,
            self.mirror,
            self.watch,
            self.background,
            pace=pace,
            clock=self.clock if paused else asyncio.get_running_loop().time,
            sleep=self.pausing if paused else asyncio.sleep,
        )

    async def until_up(self) -> None:
        """Wait until it is seen as it is."""
        async with asyncio.timeout(10):
            while not self.health.is_up("here"):
                self.changed.clear()
                await self.changed.wait()

    def restarts(self) -> dict[str, int]:
        """Give how many times the watch began again, by reason."""
        return {why: count for (_, why), count in self.health.restarts.items() if count}


@asynccontextmanager
async def watching(api: ClusterApi, pace: Pace = HASTE, *, paused: bool = False) -> AsyncIterator[Watching]:
    """Give a reflector that runs until the block ends; `paused`: its time is that of its pauses."""
    found = Watching(api, pace, paused=paused)
    task = asyncio.create_task(found.reflector.run())
    try:
        yield found
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
