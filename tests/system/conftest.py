"""A fleet of real processes for each test, or one manager for all tests that leave it as it was."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.system.fleet import Fleet


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Give asyncio, for fixtures that outlive a test too."""
    return "asyncio"


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    """Give a fleet whose manager runs."""
    async with Fleet(tmp_path) as running:
        await running.start_manager()
        yield running


@pytest.fixture(scope="session")
async def standing_fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """Give a fleet whose manager outlives the tests, which saves each of them a second or two."""
    async with Fleet(tmp_path_factory.mktemp("standing")) as running:
        await running.start_manager()
        yield running


@pytest.fixture
async def crew(standing_fleet: Fleet) -> AsyncIterator[Fleet]:
    """Give the standing fleet to a test that has agent ids of its own; its adapters end with it."""
    yield standing_fleet
    standing_fleet.end_agents()
