"""What the tests of isolation share: a worker of an entry point, and tasks for it."""

import asyncio
import os
import select
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent_adapter.agents.context import Context, Ports
from agent_adapter.agents.worker_agent import WorkerAgent
from agent_contract.tracing import Span, TraceContext
from agent_contract.wire import Progress

PATIENCE_SECONDS = 20
HERE = Path(__file__).parent
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACED = Span(context=TraceContext(TRACEPARENT))


@dataclass
class Calls:
    """A stand-in for the way to other agents: it notes what was asked and answers by `answer`."""

    answer: Callable[..., Any] = lambda **_: {"from": "other"}
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, agent_id: str, parameters: dict[str, Any], **options: Any) -> Any:
        """Give the answer."""
        self.asked.append({"agent_id": agent_id, "parameters": parameters, **options})
        given = self.answer(**self.asked[-1])
        return await given if asyncio.iscoroutine(given) else given


class GivenTask:
    """A task that runs: what it emitted and reported, and its end."""

    def __init__(self, agent: WorkerAgent, parameters: dict[str, Any], task_id: str, calls: Calls) -> None:
        self.chunks: list[bytes] = []
        self.reported: list[Progress] = []
        self.begun = asyncio.Event()
        self.refusal: Exception | None = None
        self.room = asyncio.Event()
        self.room.set()
        ports = Ports(report=self._report, call=calls, loop=asyncio.get_running_loop())
        deadline = datetime(2030, 1, 2, tzinfo=UTC)
        self.context = Context(task_id, ports, deadline=deadline, span=TRACED, streaming=True)
        self.running = asyncio.create_task(agent.run(agent.accept(parameters), self.context, self._emit))

    def cancel(self) -> None:
        """Do what the adapter does when a task is cut."""
        self.context.cancelled = True
        self.running.cancel()

    def _report(self, progress: Progress) -> None:
        self.reported.append(progress)
        self.begun.set()

    async def _emit(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        if self.refusal is not None:
            raise self.refusal
        await self.room.wait()


class Bench:
    """A worker with what it tells the adapter."""

    def __init__(self, entry_point: str, *, directory: Path = HERE, **options: Any) -> None:
        self.restarts = 0
        self.changes = 0
        self.changed = asyncio.Event()
        self.agent = WorkerAgent(
            f"isolated_agents:{entry_point}",
            threads=4,
            log_level="info",
            environment=dict(os.environ),
            directory=str(directory),
            on_change=self._change,
            on_restart=self._restart,
            **options,
        )
        self._count = 0

    def give(self, parameters: dict[str, Any] | None = None, *, calls: Calls | None = None) -> GivenTask:
        """Give a task to the worker."""
        self._count += 1
        return GivenTask(self.agent, parameters or {}, f"task-{self._count}", calls or Calls())

    async def run(self, parameters: dict[str, Any] | None = None, **options: Any) -> bytes:
        """Give the result of a task as JSON text."""
        return await self.give(parameters, **options).running

    @property
    def pid(self) -> int:
        """The id of the process that is there."""
        child = self.agent._keeper._child
        assert child is not None
        return child.pid

    def _change(self) -> None:
        self.changes += 1
        self.changed.set()

    def _restart(self) -> None:
        self.restarts += 1


@asynccontextmanager
async def worker(entry_point: str, **options: Any) -> AsyncIterator[Bench]:
    """Give a started worker, and close it; a test that waits in vain fails here."""
    bench = Bench(entry_point, **options)
    await bench.agent.start()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield bench
    finally:
        await bench.agent.close()


def ends_within(pid: int, seconds: float) -> bool:
    """Tell whether a process ends in time; it need not be a child of this one."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], seconds)[0])
    finally:
        os.close(watched)
