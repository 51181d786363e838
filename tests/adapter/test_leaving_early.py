"""An instance that leaves while it gets to know its manager leaves no ghost there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from agent_contract.asgi import Receive, Scope, Send, read_body, send_answer
from agent_contract.serving import Server, listen

from tests.adapter.running_adapter import running

ORDERS = b'{"ttlSeconds":30,"heartbeatIntervalSeconds":5,"desiredState":"running"}'
LONGER_THAN_A_BUSY_MANAGER_SECONDS = 0.3


class SlowManager:
    """Takes its time for a registration, and keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.asked = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            return
        await read_body(receive, 1 << 20)
        what = scope["path"].rpartition("/")[2]
        if what == "register":
            self.asked.set()
            await asyncio.sleep(LONGER_THAN_A_BUSY_MANAGER_SECONDS)
        self.told.append(what)
        status, body = (204, b"") if what == "unregister" else (200, ORDERS)
        await send_answer(send, status, [(b"content-type", b"application/json")], body)


@pytest.fixture
async def manager() -> AsyncIterator[tuple[SlowManager, str]]:
    """Give a slow manager and its URL."""
    sockets = listen("127.0.0.1", 0)
    slow = SlowManager()
    server = Server(slow, sockets)
    await server.start()
    yield slow, f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    server.abort()
    await server.leave(unfinished_seconds=0)


async def test_a_registration_under_way_is_followed_by_the_last_word(
    tmp_path: Path, manager: tuple[SlowManager, str]
) -> None:
    """The order to leave comes before the manager's first answer: it is waited for, and told of the end."""
    slow, url = manager
    async with running(tmp_path, process={"MANAGER_URL": url}) as adapter:
        await slow.asked.wait()
        adapter.lifecycle.leave("signal")
        await adapter.ended()
    assert slow.told[0] == "register"
    assert slow.told[-1] == "unregister"


async def test_who_leaves_before_it_registered_never_does(tmp_path: Path, manager: tuple[SlowManager, str]) -> None:
    """The manager's name is still being looked up: nobody is told of an instance that is gone already."""
    slow, url = manager
    async with running(tmp_path, process={"MANAGER_URL": url}) as adapter:
        adapter.lifecycle.leave("signal")
        await adapter.ended()
    assert "register" not in slow.told or slow.told[-1] == "unregister"
