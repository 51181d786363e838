"""An instance on a real socket that answers `/info` and `/status` as a test wants, or does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import msgspec
from agent_contract.wire import Info, State
from agent_manager.agent_client import Origin

from tests.manager.stage import EPOCH, agent_of, status_of


class Answering:
    """Answers every request on every connection, at once, until told otherwise."""

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        self.agent_id = agent_of(instance_id)
        self.state: State = "running"
        self.http_status = 200
        self.body: bytes | None = None
        self.silent = False
        self.requests: list[str] = []
        self.tokens: list[str | None] = []
        self.asked = asyncio.Event()
        self.closed = asyncio.Event()
        """Set when a client has closed a connection."""
        self._server: asyncio.Server
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, host, port)
        address = self._server.sockets[0].getsockname()
        self.origin = Origin(address[0], address[1])
        return self

    async def stop(self) -> None:
        """Listen no more, and drop every connection: from now on connections are refused."""
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Its service URL."""
        return str(self.origin)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.split("\r\n")
                self.requests.append(lines[0].removesuffix(" HTTP/1.1"))
                self.tokens.append(next((line[17:] for line in lines if line.startswith("x-manager-token: ")), None))
                self.asked.set()
                if not self.silent:
                    body = self._answer(lines[0]) if self.body is None else self.body
                    writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (self.http_status, len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()
        finally:
            self._writers.discard(writer)
            writer.close()

    def _answer(self, line: str) -> bytes:
        if line.startswith("GET /info "):
            return msgspec.json.encode(Info(self.agent_id, self.instance_id, version="1.0", started_at=EPOCH))
        return msgspec.json.encode(status_of(self.instance_id, self.state))


@asynccontextmanager
async def answering(instance_id: str, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Answering]:
    """Give an instance that answers, until the block ends."""
    there = await Answering(instance_id).start(host, port)
    try:
        yield there
    finally:
        await there.stop()
