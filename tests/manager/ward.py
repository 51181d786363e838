"""A registry with a prober that runs by the real clock."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agent_manager.agent_client import AgentClient, Call
from agent_manager.background import Background
from agent_manager.probes import Prober
from agent_manager.queries import InstanceQueries
from agent_manager.records import Instance, Timing

from tests.manager.answering import Answering
from tests.manager.stage import Stage


class Ward(Stage):
    """A registry with a prober that runs by the real clock."""

    def __init__(self, client: AgentClient) -> None:
        super().__init__(timing=Timing(ttl_seconds=3, heartbeat_interval_seconds=0.5))
        self.client = client
        self.clock.now = time.monotonic()
        self.background = Background()
        self.queries = InstanceQueries(client, lambda *_: [(b"x-manager-token", b"secret")])
        self.prober = Prober(self.registry, self.queries, self.background, clock=self.clock)

    def use_real_time(self) -> None:
        """Let every clock be the real one from now on."""
        self.registry._clock = self.prober._clock = time.monotonic

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the prober in real time."""
        self.use_real_time()
        task = asyncio.create_task(self.prober.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            assert not self.background.failures

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the registry changed to what is expected."""
        async with asyncio.timeout(5):
            while not condition():
                await self.registry.changed("a", 0.05)

    async def call(self, there: Answering, instance: Instance) -> tuple[Call, "asyncio.Task[object]"]:
        """Put a call that is not answered into an instance's hand."""
        there.silent, there.state = True, "running"
        there.asked.clear()
        call = self.client.call(there.origin, "POST", "/execute", body=b"{}")
        instance.calls.add(call)
        task = asyncio.ensure_future(call.response())
        task.add_done_callback(lambda _: instance.calls.discard(call))
        await there.asked.wait()
        there.silent = False
        return call, task
