"""What the adapter's tests share."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.adapter.fake_manager import FakeManager, managing
from tests.adapter.hand_clock import HandClock
from tests.adapter.running_adapter import RunningAdapter, running
from tests.adapter.sample_agents import Gate

StartAdapter = Callable[..., Any]
Begin = Callable[..., Awaitable[RunningAdapter]]


@pytest.fixture
def clock() -> HandClock:
    """Give a clock that only the test moves."""
    return HandClock()


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[StartAdapter]:
    """Give a starter of whole adapters in this process, gone after the test.

    They are up when it returns, unless `wait=False` is said.
    """
    Gate.reset()
    async with AsyncExitStack() as stack:

        async def run(entry_point: str = "echo", *, wait: bool = True, **settings: Any) -> RunningAdapter:
            adapter = await stack.enter_async_context(running(tmp_path, entry_point, **settings))
            await adapter.until(lambda: not wait or adapter.lifecycle.state != "starting")
            return adapter

        yield run


@pytest.fixture
async def manager() -> AsyncIterator[FakeManager]:
    """Give a manager."""
    async with managing() as fake:
        yield fake


@pytest.fixture
def begin(start: StartAdapter, manager: FakeManager) -> Begin:
    """Give a starter of adapters that have this manager."""

    def run(entry_point: str = "echo", *, process: dict[str, str] | None = None, **settings: Any) -> Any:
        own = {"MANAGER_URL": manager.url, "HEARTBEAT_INTERVAL_SECONDS": "0.1", **(process or {})}
        return start(entry_point, process=own, **settings)

    return run
