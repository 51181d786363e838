"""A real HTTP service beside the adapter, which answers as a test tells it to."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from agent_contract.asgi import Receive, Scope, Send, read_body, send_answer
from agent_contract.serving import Server, listen

Reply = Callable[[Send], Awaitable[None]]


class Upstream:
    """Notes what it is asked; answers with `reply`."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.came = asyncio.Event()
        self.left = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            for _ in range(2):
                await send({"type": f"{(await receive())['type']}.complete"})
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((scope["method"], scope["path"], headers, json.loads(await read_body(receive, 1 << 20))))
        self.came.set()
        watching = asyncio.create_task(self._watch(receive))
        try:
            await self.reply(send)
        finally:
            watching.cancel()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()


def says(status: int, body: Any, **headers: str) -> Reply:
    """Give a reply with a JSON body (bytes as they are)."""
    named = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda send: send_answer(send, status, named, content)


def streams(*events: str, end: asyncio.Event | None = None) -> Reply:
    """Give a reply that streams these events, then waits for `end`."""

    async def reply(send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for event in events:
            await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
        if end is not None:
            await end.wait()
        await send({"type": "http.response.body", "body": b""})

    return reply


@asynccontextmanager
async def serving(reply: Reply, port: int = 0) -> AsyncIterator[Upstream]:
    """Run the service until the block ends."""
    upstream = Upstream(reply)
    sockets = listen("127.0.0.1", port)
    upstream.port = sockets[0].getsockname()[1]
    server = Server(upstream, sockets)
    await server.start()
    try:
        yield upstream
    finally:
        server.abort()
        await server.leave()
