"""A collector, and a fleet of real processes that record for it, for all tests of a module."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.fleet import Fleet
from tests.tracing.collector import Collector, collecting

HERE = Path(__file__).parent


class TracedFleet(Fleet):
    """A fleet whose processes record, and send at once."""

    def __init__(self, directory: Path, collector: Collector) -> None:
        super().__init__(directory)
        self.collector = collector
        self.pair = (0, 0)
        """The ports of two instances of one agent, which have no queue."""
        self.settings |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "LOG_DIRECTORY": str(directory / "logs"),
        }

    async def start_traced(self, name: str, function: str, **settings: str) -> int:
        """Start an adapter of one of the traced agents, under its name; gives its port."""
        how = ("--entry-point", f"traced_agents:{function}")
        return await self.start_adapter(name, name, how, AGENT_WORKING_DIRECTORY=str(HERE), **settings)

    async def start_pair(self, function: str) -> None:
        """Start the two instances of the agent `pair`."""
        how, settings = ("--entry-point", f"traced_agents:{function}"), {"AGENT_MAX_QUEUE": "0"}
        one, other = [
            await self.start_adapter(name, "pair", how, AGENT_WORKING_DIRECTORY=str(HERE), **settings)
            for name in ("one", "other")
        ]
        self.pair = (one, other)

    def log_lines(self, name: str) -> list[dict[str, Any]]:
        """Give what a process has logged so far."""
        return [json.loads(line) for line in (self.directory / f"{name}.log").read_text().splitlines()]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Give asyncio, for fixtures that outlive a test too."""
    return "asyncio"


@pytest.fixture(scope="module")
async def collector() -> AsyncIterator[Collector]:
    """Give a collector that takes everything."""
    async with collecting() as running:
        yield running


@pytest.fixture(scope="module")
async def fleet(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TracedFleet]:
    """Give a fleet that records all, its manager running."""
    async with TracedFleet(tmp_path_factory.mktemp("traced"), collector) as running:
        await running.start_manager()
        yield running
