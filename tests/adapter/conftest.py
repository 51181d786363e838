"""What the adapter's tests share."""

import pytest

from tests.adapter.hand_clock import HandClock


@pytest.fixture
def clock() -> HandClock:
    """Give a clock that only the test moves."""
    return HandClock()
