"""A registry that a fake API server fills through the product's own discovery."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from agent_manager.agent_client import AgentClient
from agent_manager.background import Background
from agent_manager.cluster.api import ClusterApi
from agent_manager.cluster.pace import Pace
from agent_manager.cluster.watch_health import WatchHealth
from agent_manager.discovery.events import Event
from agent_manager.discovery.introductions import Introductions
from agent_manager.discovery.kubernetes import KubernetesDiscovery
from agent_manager.queries import InstanceQueries

from tests.manager.stage import Stage
from tests.manager.watching import HASTE


class Discovering(Stage):
    """A registry, and what it is told of a cluster."""

    def __init__(self, api: ClusterApi, client: AgentClient, namespaces: Sequence[str], pace: Pace) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.background = Background()
        self.health = WatchHealth(namespaces, wall=self.wall)
        queries = InstanceQueries(client, lambda *_: [])
        introductions = Introductions(self.registry.find, queries, self.background, interval_seconds=0.1)
        self.discovery = KubernetesDiscovery(api, self.health, introductions, self.background, pace=pace)
        self._told = asyncio.Event()

    def emit(self, event: Event) -> None:
        """Take an event, as the product does."""
        self.events.append(event)
        self.registry.apply(event)
        self._told.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until this is true; it is looked at after each event."""
        async with asyncio.timeout(10):
            while not condition():
                self._told.clear()
                await self._told.wait()

    async def until_listed(self) -> None:
        """Wait until everything was told."""
        await self.until(lambda: "kubernetes" in self.registry.listed_at)

    def told(self) -> list[str]:
        """Give what was told, in words."""
        return [describe(event) for event in self.events]


def describe(event: Event) -> str:
    """Give an event in a word or two."""
    name = type(event).__name__
    thing = getattr(event, "pod", None) or getattr(event, "workload", None)
    return name if thing is None else f"{name} {thing.name}"


@asynccontextmanager
async def discovering(
    api: ClusterApi, namespaces: Sequence[str] = ("here",), pace: Pace = HASTE
) -> AsyncIterator[Discovering]:
    """Give a discovery that runs until the block ends."""
    client = AgentClient()
    found = Discovering(api, client, namespaces, pace)
    task = asyncio.create_task(found.discovery.run(found.emit))
    try:
        yield found
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await client.close()
        assert found.background.failures == {}
