"""The application that the server's tests serve: it does what the path says, and remembers what it saw."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from agent_contract.asgi import Disconnected, Receive, Scope, Send

BIG_BYTES: Final = 24 << 20
"""More than a loopback connection buffers (4 MiB sent, 6 MiB received, as Linux comes)."""


class Application:
    """An ASGI application whose answer is named by the path, and what it saw."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.ended = asyncio.Event()
        self.disconnected = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.life: list[str] = []
        self.done = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        self.scopes.append(scope)
        self.started.set()
        name = scope["path"].strip("/").split("/")[0] or "echo"
        handler: Callable[[Scope, Receive, Send], Awaitable[None]] = getattr(self, f"on_{name}")
        with suppress(Disconnected):
            await handler(scope, receive, send)
            self.done += 1

    async def _live(self, receive: Receive, send: Send) -> None:
        for _ in range(2):
            message = await receive()
            self.life.append(message["type"])
            await send({"type": message["type"] + ".complete"})

    async def on_echo(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give the body back."""
        del scope
        await answer(send, 200, await body_of(receive))

    async def on_hold(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer once `release` is set."""
        del scope, receive
        await self.release.wait()
        await answer(send, 200, b"held")

    async def on_early(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer without reading the body."""
        del scope, receive
        await answer(send, 409, b"no")

    async def on_big(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with more than the kernel buffers."""
        del scope, receive
        await answer(send, 200, b"x" * BIG_BYTES)

    async def on_follow(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until `ended` is set, as one that leaving does not wait for."""
        del receive
        scope["extensions"]["agent_contract.follower"]()
        await self._stream(send)

    async def on_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until `ended` is set, as one that is waited for."""
        del scope, receive
        await self._stream(send)

    async def on_quiet(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Begin a stream and say nothing until `ended` is set."""
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.ended.wait()
        await send({"type": "http.response.body", "body": b""})

    async def on_slow(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give the body back, which is only read once `release` is set."""
        await self.release.wait()
        await self.on_echo(scope, receive, send)

    async def _stream(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        try:
            await self.ended.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        await send({"type": "http.response.body", "body": b"data: 2\n\n"})

    async def on_gone(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the client to go."""
        del scope, send
        while (await receive())["type"] != "http.disconnect":
            pass
        self.disconnected.set()

    async def on_crash(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise before anything is said, or behind a head that nothing followed."""
        del receive
        if scope["query_string"]:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        raise LookupError("the agent's secret")

    async def on_half(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise in the middle of an answer."""
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise LookupError("half")

    async def on_mute(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Return without an answer."""

    async def on_send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what the query names: the head's headers and the body, as Python."""
        del receive
        headers, body = eval(scope["query_string"].decode())  # noqa: S307  # the test's own words
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def body_of(receive: Receive) -> bytes:
    """Give a request's whole body."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def answer(send: Send, status: int, body: bytes) -> None:
    """Send a whole answer."""
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
