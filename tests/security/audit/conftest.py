"""A manager whose audit is read."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.security.audit.records import Audited, audited


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Audited]:
    """Give a closed manager with one adapter, `echo`."""
    async with audited(tmp_path) as running:
        yield running
