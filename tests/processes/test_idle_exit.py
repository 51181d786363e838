"""How fast an idle adapter goes: in a module of its own, for it starts twenty."""

import asyncio
import statistics
from pathlib import Path
from signal import SIGTERM
from time import monotonic

from tests.processes.adapter_process import agent


async def test_an_idle_adapter_is_gone_at_once(tmp_path: Path) -> None:
    """From SIGTERM to the exit, the median of 20; the strict figure is the benchmark's, here it is 250 ms."""
    took: list[float] = []

    async def one(number: int) -> None:
        directory = tmp_path / str(number)
        directory.mkdir()
        async with agent(directory, "sample:echo") as adapter:
            began = monotonic()
            adapter.send(SIGTERM)
            assert await adapter.process.wait() == 0
            took.append(monotonic() - began)

    for first in range(0, 20, 2):
        await asyncio.gather(one(first), one(first + 1))
    assert statistics.median(took) < 0.25, sorted(took)
