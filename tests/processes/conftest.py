"""Starting adapter processes for a test."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.processes.adapter_process import AdapterProcess, agent

Launch = Callable[..., Any]


@pytest.fixture
async def launch(tmp_path: Path) -> AsyncIterator[Launch]:
    """Give a starter of adapter processes, which are up when it returns (unless `up=False`) and gone after the test."""
    async with AsyncExitStack() as stack:

        async def run(entry_point: str = "sample:work", *arguments: str, **options: Any) -> AdapterProcess:
            return await stack.enter_async_context(agent(tmp_path, entry_point, *arguments, **options))

        yield run
