"""A manager that serves, for the tests of its outside."""

from collections.abc import AsyncIterator

import pytest

from tests.manager.manager_rig import ManagerRig, running_manager


@pytest.fixture
async def rig() -> AsyncIterator[ManagerRig]:
    """Give a manager with the default settings that has been up for a day."""
    async with running_manager() as running:
        yield running
