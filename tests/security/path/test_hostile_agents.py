"""An agent that answers with what no program should: its caller gets a problem in time, and the manager stays small."""

import asyncio
import contextlib
import gzip
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest
from agent_contract.identity import new_id

from tests.system.fleet import Fleet

GROWTH_BYTES: Final = 32 << 20
IN_TIME_SECONDS: Final = 20
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BOMB: Final = gzip.compress(gzip.compress(bytes(1 << 27), 9), 9)
"""128 MiB in a few hundred bytes, twice compressed."""
STREAM: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """Give data as a chunk (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


HOSTILE: Final = {
    "an endless body": (OK + b"Transfer-Encoding: chunked\r\n\r\n", chunk(bytes(65536))),
    "an endless head": (OK, b"X-More: 1\r\n"),
    "a header of a megabyte": (OK + b"X-Large: " + bytes(1 << 20).replace(b"\0", b"a") + b"\r\n\r\n{}", b""),
    "interim answers without end": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a chunk that breaks off": (OK + b"Transfer-Encoding: chunked\r\n\r\nffff\r\nabc", b""),
    "a size that is no number": (OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n", b""),
    "a body shorter than it says": (OK + b"Content-Length: 1000\r\n\r\n{}", b""),
    "two lengths": (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", b""),
    "a length and chunks": (OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b""),
    "no status line": (b"hello\r\n\r\n", b""),
    "a NUL in a header": (OK + b"X-Nul: a\0b\r\nContent-Length: 2\r\n\r\n{}", b""),
    "nothing": (b"", b""),
}
"""What it sends first, and what it then repeats until nobody listens."""


class Hostile:
    """An agent's server that is sound but for what it answers to `/execute`."""

    def __init__(self) -> None:
        self.instance_id = new_id()
        self.first = self.rest = b""
        self._server: asyncio.Server

    async def listen(self) -> str:
        """Give the URL at which it answers."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        """Listen no more."""
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            for piece in self._answer(head):
                writer.write(piece)
                await writer.drain()
        writer.close()

    def _answer(self, head: bytes) -> Iterator[bytes]:
        if not head.startswith(b"POST /execute "):
            said = {"status": "running", "instanceId": self.instance_id, "drain": None, "problem": None}
            body = json.dumps(said).encode()
            yield OK + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            return
        yield self.first
        yield from itertools.repeat(self.rest) if self.rest else ()


@pytest.fixture
async def attacked(tmp_path: Path) -> AsyncIterator[tuple[Fleet, Hostile]]:
    """Give a manager that has a hostile agent and a sound one."""
    hostile = Hostile()
    async with Fleet(tmp_path) as fleet:
        await fleet.start_manager(REGISTRATION_TTL_SECONDS="600")
        await fleet.start_agent("sound", "sound")
        about = {"id": "hostile", "serviceUrl": await hostile.listen(), "instanceId": hostile.instance_id}
        body = {**about, "status": "running"}
        assert (await fleet.client.post("/api/agent-services/register", json=body)).status_code == 200
        yield fleet, hostile
        hostile.close()


def most_bytes(fleet: Fleet) -> int:
    """Give the most memory that the manager ever had."""
    status = Path(f"/proc/{fleet.processes['manager'].pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


async def call(fleet: Fleet, agent: str, accept: str = "application/json") -> tuple[int, int]:
    """Call an agent; gives the status and how many bytes came, undone by nobody."""
    headers = {"Accept": accept, "Accept-Encoding": "identity"}
    url, size = f"/api/agent-services/{agent}/execute", 0
    async with (
        asyncio.timeout(IN_TIME_SECONDS),
        fleet.client.stream("POST", url, json={"parameters": {}}, headers=headers) as answer,
    ):
        async for piece in answer.aiter_raw():
            size += len(piece)
    return answer.status_code, size


async def test_no_answer_costs_the_manager_its_memory_or_others_their_agent(attacked: tuple[Fleet, Hostile]) -> None:
    """Each is 502 in time, a bomb goes through as it is; a sound agent is called all the while."""
    fleet, hostile = attacked
    assert (await call(fleet, "sound"))[0] == 200
    before = most_bytes(fleet)
    found = {}
    for name, (hostile.first, hostile.rest) in HOSTILE.items():
        found[name] = (await call(fleet, "hostile"))[0]
        assert (await call(fleet, "sound"))[0] == 200
    assert found == dict.fromkeys(HOSTILE, 502)
    hostile.first, hostile.rest = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB, b""
    assert await call(fleet, "hostile") == (200, len(BOMB))
    assert most_bytes(fleet) - before < GROWTH_BYTES
    assert (await fleet.client.get("/ready")).status_code == 200


async def test_a_stream_without_end_is_handed_on_and_not_kept(attacked: tuple[Fleet, Hostile]) -> None:
    """Its reader leaves after 64 MiB; the manager never had them."""
    fleet, hostile = attacked
    hostile.first, hostile.rest = STREAM, chunk(b"data: " + b"a" * 65000 + b"\n\n")
    before, size = most_bytes(fleet), 0
    headers = {"Accept": "text/event-stream"}
    url = "/api/agent-services/hostile/execute"
    async with (
        asyncio.timeout(IN_TIME_SECONDS),
        fleet.client.stream("POST", url, json={"parameters": {}}, headers=headers) as answer,
    ):
        async for piece in answer.aiter_raw():
            size += len(piece)
            if size > 64 << 20:
                break
    assert size > 64 << 20
    assert most_bytes(fleet) - before < GROWTH_BYTES
    assert (await call(fleet, "sound"))[0] == 200
