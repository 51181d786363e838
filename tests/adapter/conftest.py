"""What the adapter's tests share."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.adapter.hand_clock import HandClock
from tests.adapter.running_adapter import RunningAdapter, running
from tests.adapter.sample_agents import Gate

StartAdapter = Callable[..., Any]


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
