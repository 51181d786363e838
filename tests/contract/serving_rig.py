"""A real server on a real port, and raw clients for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from agent_contract.serving import Server, listen
from httptools import HttpResponseParser

from tests.contract.serving_app import Application

both_loops: Final = pytest.mark.parametrize(
    "anyio_backend",
    [("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})],
    ids=["asyncio", "uvloop"],
)
"""uvloop accepts, reads, writes and closes in other turns than asyncio: what is promised holds on both."""

PATIENCE_SECONDS: Final = 10
"""How long a test waits for what must come; nothing here comes late."""


class Answer:
    """One answer as a client parses it."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """Be whole."""
        self.whole = True

    @property
    def closes(self) -> bool:
        """Whether it is its connection's last."""
        return self.headers.get("connection") == "close"


class Client:
    """A raw connection: what is sent is bytes, what comes back is parsed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._rest = b""

    def send(self, data: bytes) -> None:
        """Send bytes; the kernel has them when this returns, if they are few."""
        self.writer.write(data)

    def request(self, path: str = "/echo", body: bytes = b"", method: str = "POST", headers: str = "") -> None:
        """Send a whole request."""
        head = f"{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        self.send(head.encode() + body)

    async def answer(self) -> Answer:
        """Give the next answer; not `whole` when the connection ended before its end."""
        got = Answer()
        parser = HttpResponseParser(got)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not got.whole:
                data = self._rest or await self.reader.read(65536)
                self._rest = b""
                if not data:
                    break
                data = self._one(data)
                parser.feed_data(data)
        got.status = parser.get_status_code()
        return got

    def _one(self, data: bytes) -> bytes:
        """Cut what belongs to the answer behind this one, when both came in one piece."""
        cut = data.find(b"HTTP/1.1 ", 1)
        if cut > 0:
            self._rest = data[cut:]
            return data[:cut]
        return data

    async def until_closed(self) -> bytes:
        """Give what still comes until the server ends the connection."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            rest, self._rest = self._rest, b""
            return rest + await self.reader.read()

    async def call(self, path: str = "/echo", body: bytes = b"") -> Answer:
        """Send a request and give its answer."""
        self.request(path, body)
        return await self.answer()


class Rig:
    """A serving server, its application, and clients."""

    def __init__(self, app: Application, server: Server, port: int) -> None:
        self.app, self.server, self.port = app, server, port
        self._clients: list[Client] = []

    async def connect(self, **options: Any) -> Client:
        """Give a new connection."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, **options))
        self._clients.append(client)
        return client

    async def call(self, path: str = "/echo", body: bytes = b"") -> Answer:
        """Send a request on a connection of its own."""
        return await (await self.connect()).call(path, body)

    async def begun(self, path: str = "/hold") -> Client:
        """Give a client whose request the application has begun."""
        self.app.started.clear()
        client = await self.connect()
        client.request(path)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.app.started.wait()
        return client

    async def refused(self) -> bool:
        """Say whether the address refuses connections."""
        try:
            client = await self.connect()
        except ConnectionRefusedError:
            return True
        client.writer.close()
        return False

    async def settle(self) -> None:
        """Let the event loop do what lies before it."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Drop everything."""
        self.server.abort()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.server.leave(unfinished_seconds=0)
        for client in self._clients:
            client.writer.transport.abort()
        await self.settle()


@asynccontextmanager
async def serving(app: Application | None = None, **options: Any) -> AsyncIterator[Rig]:
    """Give a rig on a free port of 127.0.0.1."""
    app = app or Application()
    sockets = listen("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    rig = Rig(app, Server(app, sockets, **options), port)
    await rig.server.start()
    try:
        yield rig
    finally:
        await rig.close()
