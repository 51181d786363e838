"""What every test shares: asyncio as the one event loop library."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Give asyncio, the event loop that the product runs on."""
    return "asyncio"
