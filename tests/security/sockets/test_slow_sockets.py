"""Five hundred sockets that say little or nothing take neither a manager nor an adapter out of service."""

import asyncio
import contextlib
import signal
import socket
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.system.fleet import Fleet

SOCKETS = 500
QUESTIONS = 200
LEAVE_SECONDS = 6.0
"""What both may take here from SIGTERM on: they serve on for 2 s, and give requests that are half there a second."""
HEAD = b"POST /api/agent-services/echo/execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
UNFINISHED = (
    b"",
    b"GET /rea",
    HEAD,
    HEAD + b"Content-Length: 1000\r\n\r\n",
    HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"par\r\n',
)
"""What such a socket has said: nothing, half a line, half a head, a head, half a body."""


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[tuple[Fleet, int]]:
    """Give a manager and an adapter with its port."""
    async with Fleet(tmp_path) as started:
        await started.start_manager()
        yield started, await started.start_agent("agent", "echo")


@contextlib.contextmanager
def crowd(port: int) -> Iterator[list[socket.socket]]:
    """Hold so many sockets open; each fifth will say no more and cannot be told to go."""
    opened: list[socket.socket] = []
    try:
        for number in range(SOCKETS):
            one = socket.create_connection(("127.0.0.1", port), timeout=5)
            opened.append(one)
            one.sendall(UNFINISHED[number % len(UNFINISHED)])
            if number % 7 == 0:
                one.shutdown(socket.SHUT_WR)
        yield opened
    finally:
        for one in opened:
            one.close()


async def waits(port: int) -> list[float]:
    """Give how many seconds each of some questions waited for its answer, each on a connection of its own."""
    found = []
    for _ in range(QUESTIONS):
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            asked = time.monotonic()
            answer = await client.get(f"http://127.0.0.1:{port}/ready")
            found.append(time.monotonic() - asked)
        assert answer.status_code == 200
    return found


@pytest.mark.parametrize("name", ["manager", "agent"])
async def test_a_crowd_of_slow_sockets_stops_nobody(fleet: tuple[Fleet, int], name: str) -> None:
    """`/ready` is answered within a second, work is done, and the process leaves in time."""
    crew, port = fleet
    target = crew.manager_port if name == "manager" else port
    with crowd(target):
        assert statistics.quantiles(await waits(target), n=100)[98] < 1
        answer = await crew.client.post("/api/agent-services/echo/execute", json={"parameters": {"number": 4}})
        assert answer.json()["result"] == {"number": 4}
        ordered = time.monotonic()
        crew.signal(name, signal.SIGTERM)
        assert await asyncio.wait_for(crew.exit_code(name), 20) == 0
        assert time.monotonic() - ordered < LEAVE_SECONDS
