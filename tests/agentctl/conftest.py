"""A fake manager for each test that wants one."""

from collections.abc import Iterator

import pytest

from tests.agentctl.fake_manager import FakeManager


@pytest.fixture
def manager() -> Iterator[FakeManager]:
    """Give a manager that listens."""
    with FakeManager() as fake:
        yield fake
