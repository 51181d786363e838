"""What the tests of the outgoing client share: both event loops, time that a test moves, a client."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from agent_manager.agent_client import AgentClient, Origin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class Clock:
    """Monotonic time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run each test on both event loops."""
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture
def clock() -> Clock:
    """Give a clock at some time."""
    return Clock()


@pytest.fixture
async def client(clock: Clock) -> AsyncIterator[AgentClient]:
    """Give a client whose clock the test moves, and whose bounds are small enough to be met."""
    client = AgentClient(clock=clock, max_head_bytes=65536, max_body_bytes=1 << 20)
    yield client
    await client.close()


@pytest.fixture
def deaf_origin() -> Iterator[Origin]:
    """Give an origin where a connection is never answered: its backlog is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        yield Origin(*address)
        for filler in fillers:
            filler.close()
