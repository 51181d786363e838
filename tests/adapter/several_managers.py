"""Three managers behind one name, on 127.0.0.1, .2 and .3: each answers, holds back or goes as a test says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from agent_adapter import heartbeat
from agent_contract.asgi import Receive, Scope, Send
from agent_contract.serving import Server, listen

from tests.adapter.fake_manager import FakeManager, orders

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
INTERVAL_SECONDS = 0.15
"""Between two beats: all three managers and the adapter share one event loop, which has other things to do."""
URL = "http://managers.test:8080"


class Steered(FakeManager):
    """A manager that hangs while `open` is not set: it takes what comes, and does not answer."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self.host = host
        self.usual = orders(interval=INTERVAL_SECONDS)
        self.open = asyncio.Event()
        self.open.set()
        self.delay_seconds = 0.0
        """How long it takes for each answer."""
        self._held = 0
        self._came = asyncio.Event()
        self._server: Server | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it is."""
        return self.host, self.port

    async def begin(self, port: int) -> None:
        """Listen, also again after `go`."""
        sockets = listen(self.host, port)
        self.port = sockets[0].getsockname()[1]
        self._server = Server(self, sockets)
        await self._server.start()

    async def go(self) -> None:
        """Be gone: the address refuses connections."""
        server, self._server = self._server, None
        self.open.set()
        if server is not None:
            server.abort()
            await server.leave()

    async def holds_one(self) -> None:
        """Return when something waits for its answer."""
        while not self._held:
            self._came.clear()
            await self._came.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a word once that is allowed."""
        if scope["type"] == "http":
            self._held += 1
            self._came.set()
            await self.open.wait()
            self._held -= 1
            await asyncio.sleep(self.delay_seconds)
        await super().__call__(scope, receive, send)


class Name:
    """What the managers' name means; asking for it can fail."""

    def __init__(self) -> None:
        self.addresses: list[tuple[str, int]] = []
        self.asked = 0
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def resolve(self, _: str) -> list[tuple[str, int]]:
        """Give the addresses; raises OSError where there is none."""
        self.asked += 1
        self._loop.call_soon_threadsafe(self._news.set)
        if not self.addresses:
            raise OSError("Name or service not known")
        return list(self.addresses)

    async def looked_up(self, times: int = 2) -> None:
        """Return when it was asked for so many times more: what it meant before has been followed then."""
        until = self.asked + times
        while self.asked < until:
            self._news.clear()
            await self._news.wait()


class Several:
    """The managers, and their name."""

    def __init__(self, managers: list[Steered], name: Name) -> None:
        self.managers = managers
        self.name = name
        self.process = {"MANAGER_URL": URL, "HEARTBEAT_INTERVAL_SECONDS": str(INTERVAL_SECONDS)}

    async def all_told(self, route: str, **members: Any) -> None:
        """Return when each was told something of which these members hold."""
        for manager in self.managers:
            await manager.told(route, lambda word: members.items() <= word.items())


@asynccontextmanager
async def several(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Several]:
    """Run three managers at one port; their name is looked up ten times a second."""
    managers, name = [Steered(host) for host in HOSTS], Name()
    monkeypatch.setattr(heartbeat, "resolve", name.resolve)
    for constant in ("_RESOLVE_SECONDS", "_RESOLVE_AWAY_SECONDS", "_RESOLVE_RETRY_SECONDS"):
        monkeypatch.setattr(heartbeat, constant, 0.1)
    async with AsyncExitStack() as stack:
        for manager in managers:
            await manager.begin(managers[0].port)
            stack.push_async_callback(manager.go)
        name.addresses = [manager.address for manager in managers]
        yield Several(managers, name)
