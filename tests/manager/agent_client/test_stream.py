"""Event streams through the client: at once, never more than a bound in memory, and ended from either side."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from agent_manager.agent_client import AgentClient, BadResponse, Chunks, ConnectionLost
from agent_manager.agent_client.connection import MAX_UNREAD_STREAM_BYTES

from tests.manager.agent_client.scripted_instance import Peer, closing, instance

if TYPE_CHECKING:
    pass

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"
ONE_READ_BYTES = 256 * 1024
"""What either event loop reads at once."""


def chunk(data: bytes) -> bytes:
    """Give `data` as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def read_all(chunks: Chunks) -> bytes:
    """Give what is left of a stream."""
    return b"".join([piece async for piece in chunks])


async def test_first_event_arrives_before_the_last_is_sent(client: AgentClient) -> None:
    """The head, and then each event, is handed on when it comes."""
    next_event = asyncio.Event()

    async def three(peer: Peer) -> None:
        await peer.write(CHUNKED)
        for n in range(3):
            await next_event.wait()
            next_event.clear()
            await peer.write(chunk(b"data: %d\n\n" % n))
        await peer.write(LAST)

    async with instance(three) as there:
        response = await client.call(there.origin, "POST", "/execute").response()
        assert (response.status, response.streaming, response.body) == (200, True, b"")
        chunks = response.chunks()
        for n in range(3):
            next_event.set()
            assert await anext(chunks) == b"data: %d\n\n" % n
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)


async def test_finished_stream_gives_its_connection_back(client: AgentClient) -> None:
    """A stream that was read to its end leaves a connection as good as new, and leaving it then harms nobody."""
    async with instance(CHUNKED + chunk(b"data: 1\n\n") + LAST) as there:
        chunks = (await client.call(there.origin, "POST", "/execute").response()).chunks()
        assert await read_all(chunks) == b"data: 1\n\n"
        second = client.call(there.origin, "GET", "/").response()
        await chunks.aclose()
        assert (await second).body == b"hi"
        assert len(there.peers) == 1


async def test_stream_until_the_connection_ends(client: AgentClient) -> None:
    """A stream without chunks ends with its connection, if that was announced."""
    async with instance(closing(HEAD + b"connection: close\r\n\r\ndata: 1\n\n")) as there:
        response = await client.call(there.origin, "POST", "/execute").response()
        assert await read_all(response.chunks()) == b"data: 1\n\n"


async def test_broken_stream_gives_what_came_and_raises(client: AgentClient) -> None:
    """No byte that came before the break is lost, and the break is not taken for the end."""
    async with instance(closing(CHUNKED + chunk(b"data: 1\n\n"))) as there:
        chunks = (await client.call(there.origin, "POST", "/execute").response()).chunks()
        assert await anext(chunks) == b"data: 1\n\n"
        for _ in range(2):
            with pytest.raises(ConnectionLost, match="after 9 bytes of its body"):
                await anext(chunks)


async def test_malformed_stream_is_refused_midway(client: AgentClient) -> None:
    """Bad framing ends a stream as it ends any answer."""
    go_on = asyncio.Event()

    async def spoil(peer: Peer) -> None:
        await peer.write(CHUNKED + chunk(b"data: 1\n\n"))
        await go_on.wait()
        await peer.write(b"zz\r\n")
        await peer.wait_gone()

    async with instance(spoil) as there:
        chunks = (await client.call(there.origin, "POST", "/execute").response()).chunks()
        assert await anext(chunks) == b"data: 1\n\n"
        go_on.set()
        with pytest.raises(BadResponse, match="chunk size"):
            await anext(chunks)


async def test_reader_that_leaves_closes_the_connection(client: AgentClient) -> None:
    """The instance sees within a second that nobody reads its stream, and can cancel its task."""

    async def forever(peer: Peer) -> None:
        await peer.write(CHUNKED + chunk(b"data: 1\n\n"))
        await peer.wait_gone()

    async with instance(forever) as there:
        chunks = (await client.call(there.origin, "POST", "/execute").response()).chunks()
        assert await anext(chunks) == b"data: 1\n\n"
        await chunks.aclose()
        async with asyncio.timeout(1):
            await there.peers[0].gone.wait()
        assert await read_all(chunks) == b""


async def test_aborted_stream_closes_and_raises(client: AgentClient) -> None:
    """A stream that is given up raises what it was given, also in a reader that waits."""

    async def forever(peer: Peer) -> None:
        await peer.write(CHUNKED)
        await reading.wait()
        call.abort(ConnectionLost("another life answers"))
        await peer.wait_gone()

    reading = asyncio.Event()
    async with instance(forever) as there:
        call = client.call(there.origin, "POST", "/execute")
        chunks = (await call.response()).chunks()
        asyncio.get_running_loop().call_soon(reading.set)
        with pytest.raises(ConnectionLost, match="another life answers"):
            await anext(chunks)
        async with asyncio.timeout(1):
            await there.peers[0].gone.wait()


async def test_wait_that_is_cancelled_loses_nothing(client: AgentClient) -> None:
    """A reader may bound each wait, to write a comment into a quiet stream."""
    go_on = asyncio.Event()

    async def slowly(peer: Peer) -> None:
        await peer.write(CHUNKED)
        await go_on.wait()
        await peer.write(chunk(b"data: 1\n\n") + LAST)

    async with instance(slowly) as there:
        chunks = (await client.call(there.origin, "POST", "/execute").response()).chunks()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(chunks)
        go_on.set()
        assert await read_all(chunks) == b"data: 1\n\n"


async def test_two_readers_are_refused(client: AgentClient) -> None:
    """Two readers would each get half of the events."""

    async def forever(peer: Peer) -> None:
        await peer.write(CHUNKED)
        await peer.wait_gone()

    async with instance(forever) as there:
        chunks = (await client.call(there.origin, "POST", "/execute").response()).chunks()
        first = asyncio.ensure_future(read_all(chunks))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="twice"):
            await anext(chunks)
        await chunks.aclose()
        assert await first == b""


async def test_slow_reader_holds_the_instance_back(client: AgentClient) -> None:
    """64 MiB sent to a reader that does not read stay at the sender; then every byte arrives, a bound at a time."""
    total, sent = 64 << 20, 0
    piece = chunk(bytes(65536))

    async def pour(peer: Peer) -> None:
        nonlocal sent
        await peer.write(CHUNKED)
        while sent < total:
            await peer.write(piece)
            sent += 65536
        await peer.write(LAST)

    async with instance(pour) as there:
        response = await client.call(there.origin, "POST", "/execute").response()
        connection = next(iter(client._pools[there.origin]._open))
        async with asyncio.timeout(5):
            while connection._transport.is_reading():  # noqa: ASYNC110  # the transport tells nobody
                await asyncio.sleep(0)
        assert sent < 16 << 20, "held by the sockets of both sides, not by us"
        received = 0
        async for data in response.chunks():
            assert len(data) <= MAX_UNREAD_STREAM_BYTES + ONE_READ_BYTES
            received += len(data)
        assert received == sent == total
        assert (await client.call(there.origin, "GET", "/").response()).body == b"hi"
        assert len(there.peers) == 1


async def test_stream_that_ends_while_its_reader_is_slow_leaves_a_live_connection(client: AgentClient) -> None:
    """A connection that was paused reads again before it carries another call, so that it sees its own end."""
    body = bytes(MAX_UNREAD_STREAM_BYTES + 1)
    async with instance(CHUNKED + chunk(body) + LAST) as there:
        chunks = (await client.call(there.origin, "POST", "/execute").response()).chunks()
        assert await read_all(chunks) == body
        there.peers[0].writer.transport.abort()
        await there.peers[0].gone.wait()
        assert (await client.call(there.origin, "GET", "/").response()).body == b"hi"
        assert len(there.peers) == 2


async def test_ended_stream_no_longer_steers_its_connection() -> None:
    """The last bytes of a stream may be read when its connection already carries another, which is paused."""
    resumed: list[str] = []
    chunks = Chunks(lambda: resumed.append("resumed"), lambda: None)
    chunks.put(b"a")
    assert await anext(chunks) == b"a"
    assert len(resumed) == 1
    chunks.put(b"b")
    chunks.put(b"c")
    chunks.end(None)
    assert await read_all(chunks) == b"bc"
    assert len(resumed) == 1
