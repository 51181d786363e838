"""A fleet of real processes for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.system.fleet import Fleet


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    """Give a fleet whose manager runs."""
    async with Fleet(tmp_path) as running:
        await running.start_manager()
        yield running
