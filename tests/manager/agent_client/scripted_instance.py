"""An instance that answers with the very bytes that a test wrote down, and notes what it saw."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Self

from agent_manager.agent_client import Origin

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

GOOD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nhi"


class Peer:
    """One connection as the instance sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.requests: list[bytes] = []
        self.gone = asyncio.Event()
        """Set when the client's end of the connection was seen."""

    async def read_request(self, *, reads_bodies: bool) -> bytes:
        """Give the next request, head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not reads_bodies:
            return head
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
        return head + await self.reader.readexactly(length)

    async def write(self, data: bytes) -> None:
        """Write, and wait until the socket took most of it."""
        self.writer.write(data)
        await self.writer.drain()

    async def wait_gone(self) -> None:
        """Return when the client has closed the connection."""
        while await self.reader.read(65536):
            pass


Script = bytes | Callable[[Peer], Awaitable[None]]


class Instance:
    """Answers one request after the other, on whatever connection it comes, with the next script, then `GOOD`."""

    def __init__(self, scripts: tuple[Script, ...], *, reads_bodies: bool) -> None:
        self._reads_bodies = reads_bodies
        self.peers: list[Peer] = []
        self.requests: list[bytes] = []
        self._scripts = list(scripts)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def origin(self) -> Origin:
        """Where it listens."""
        return Origin("127.0.0.1", self._server.sockets[0].getsockname()[1], tls=self._tls)

    async def open(self, context: ssl.SSLContext | None) -> Self:
        """Listen on a free port."""
        self._tls = context is not None
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=context)
        return self

    async def close(self) -> None:
        """Stop listening and end every connection."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(Peer(reader, writer)))
        self._tasks.add(task)

    async def _serve(self, peer: Peer) -> None:
        self.peers.append(peer)
        try:
            while not peer.writer.is_closing():
                peer.requests.append(await peer.read_request(reads_bodies=self._reads_bodies))
                self.requests.append(peer.requests[-1])
                script = self._scripts.pop(0) if self._scripts else GOOD
                await (peer.write(script) if isinstance(script, bytes) else script(peer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            peer.gone.set()
            peer.writer.transport.abort()
            with suppress(ConnectionError):
                await peer.writer.wait_closed()


@asynccontextmanager
async def instance(
    *scripts: Script, reads_bodies: bool = True, context: ssl.SSLContext | None = None
) -> AsyncIterator[Instance]:
    """Give an instance that listens and answers by `scripts`."""
    opened = await Instance(scripts, reads_bodies=reads_bodies).open(context)
    try:
        yield opened
    finally:
        await opened.close()


def closing(answer: bytes) -> Script:
    """Give the script that answers and closes the connection."""

    async def script(peer: Peer) -> None:
        await peer.write(answer)
        peer.writer.close()

    return script


def endless(start: bytes, piece: bytes) -> Script:
    """Give the script that writes `start`, then `piece` until the client is gone."""

    async def script(peer: Peer) -> None:
        await peer.write(start)
        while not peer.writer.is_closing():
            await peer.write(piece)

    return script


async def until_gone(peer: Peer) -> None:
    """Wait until the instance has seen the client close the connection."""
    async with asyncio.timeout(5):
        await peer.gone.wait()
