"""A manager's adapter routes on a real socket: it notes what it is told, and answers as a test tells it to."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from agent_contract.asgi import Receive, Scope, Send, read_body, send_answer
from agent_contract.serving import Server, listen

from tests.adapter.running_adapter import PATIENCE_SECONDS

INTERVAL_SECONDS: Final = 0.05
"""Between two beats, so that a test sees several."""
Word = tuple[str, dict[str, Any]]


def orders(desired: str = "running", interval: float = INTERVAL_SECONDS) -> dict[str, Any]:
    """Give what a manager answers to a registration or a beat."""
    return {"ttlSeconds": 30, "heartbeatIntervalSeconds": interval, "desiredState": desired}


def problem(status: int, code: str) -> tuple[int, dict[str, Any]]:
    """Give an answer that refuses."""
    return status, {"status": status, "code": code, "detail": "so it is"}


class FakeManager:
    """`said` is what it was told, in order; `next_answers` come before the usual ones, by route."""

    def __init__(self) -> None:
        self.said: list[Word] = []
        self.headers: list[dict[str, str]] = []
        self.next_answers: dict[str, deque[tuple[int, Any]]] = {}
        self.usual: dict[str, Any] = orders()
        self.on_word: Callable[[str], None] = lambda _: None
        self.port = 0
        self._news = asyncio.Event()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def answers(self, route: str, *answers: tuple[int, Any]) -> None:
        """Answer so, once each, before the usual."""
        self.next_answers[route] = deque(answers)

    def routes(self) -> list[str]:
        """Give the routes that were used, in order."""
        return [route for route, _ in self.said]

    async def told(self, route: str, holds: Callable[[dict[str, Any]], bool] = lambda _: True, since: int = 0) -> Any:
        """Return the first word on a route of which something holds, when it comes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                self._news.clear()
                for said_on, word in self.said[since:]:
                    if said_on == route and holds(word):
                        return word
                await self._news.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a word."""
        if scope["type"] == "lifespan":
            for _ in range(2):
                await send({"type": f"{(await receive())['type']}.complete"})
            return
        route = scope["path"].removeprefix("/api/agent-services/")
        body = json.loads(await read_body(receive, 1 << 28))
        self.on_word(route)
        self.said.append((route, body))
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        self._news.set()
        waiting = self.next_answers.get(route)
        usual = (200, self.usual) if route in ("register", "heartbeat") else (204, None)
        status, answer = waiting.popleft() if waiting else usual
        content = b"" if answer is None else json.dumps(answer).encode()
        await send_answer(send, status, [(b"content-type", b"application/json")], content)


@asynccontextmanager
async def managing(port: int = 0) -> AsyncIterator[FakeManager]:
    """Run a manager until the block ends."""
    manager = FakeManager()
    sockets = listen("127.0.0.1", port)
    manager.port = sockets[0].getsockname()[1]
    server = Server(manager, sockets)
    await server.start()
    try:
        yield manager
    finally:
        server.abort()
        await server.leave()
