"""Connections kept for the next request: which, how long, how many, and never a dead one."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from agent_manager.agent_client import AgentClient, Origin
from agent_manager.agent_client.pool import MAX_IDLE_CONNECTIONS

from tests.manager.agent_client.scripted_instance import GOOD, Peer, closing, instance, until_gone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.manager.agent_client.conftest import Clock


@asynccontextmanager
async def pending(awaitable: asyncio.Future[socket.socket]) -> AsyncIterator[None]:
    """Cancel what a failed test would leave running."""
    try:
        yield
    finally:
        awaitable.cancel()


async def test_connection_is_reused(client: AgentClient) -> None:
    """Five calls one after the other need one connection."""
    async with instance() as there:
        for _ in range(5):
            assert (await client.call(there.origin, "GET", "/status").response()).body == b"hi"
        assert (len(there.requests), len(there.peers)) == (5, 1)


async def test_connection_idle_for_two_seconds_is_reused_and_longer_is_not(client: AgentClient, clock: Clock) -> None:
    """The client's expiry lies below the adapter's keep-alive, so that no request meets a closing socket."""
    async with instance() as there:
        await client.call(there.origin, "GET", "/").response()
        clock.now += 2.0
        await client.call(there.origin, "GET", "/").response()
        assert len(there.peers) == 1
        clock.now += 2.001
        await client.call(there.origin, "GET", "/").response()
        assert len(there.peers) == 2
        await until_gone(there.peers[0])


async def test_idle_connections_are_closed_without_another_call() -> None:
    """The timer closes what idles, with nobody calling."""
    client = AgentClient(idle_seconds=0.05)
    async with instance() as one, instance() as other:
        await asyncio.gather(*(client.call(each.origin, "GET", "/").response() for each in (one, other)))
        await until_gone(one.peers[0])
        await until_gone(other.peers[0])
        assert not list(client._pools), "an origin that is gone leaves something behind"
    await client.close()


async def test_timer_runs_on_for_the_connections_that_are_younger(clock: Clock) -> None:
    """One timer serves them all: it is set again for what it found too young."""
    client = AgentClient(clock=clock, idle_seconds=0.05)
    release = asyncio.Event()

    async def later(peer: Peer) -> None:
        await release.wait()
        await peer.write(GOOD)

    async with instance() as one, instance(later) as other:
        second = asyncio.ensure_future(client.call(other.origin, "GET", "/").response())
        await client.call(one.origin, "GET", "/").response()
        clock.now += 0.05
        release.set()
        await second
        await until_gone(one.peers[0])
        assert not other.peers[0].gone.is_set()
        clock.now += 0.05
        await until_gone(other.peers[0])
    await client.close()


async def test_newest_idle_connection_is_reused_first(client: AgentClient) -> None:
    """After a burst the calm load uses one connection, so that the others can expire."""
    barrier = asyncio.Barrier(3)

    async def together(peer: Peer) -> None:
        await barrier.wait()
        await peer.write(GOOD)

    async with instance(*[together] * 3) as there:
        await asyncio.gather(*(client.call(there.origin, "GET", "/burst").response() for _ in range(3)))
        for _ in range(4):
            await client.call(there.origin, "GET", "/calm").response()
        assert sorted(len(peer.requests) for peer in there.peers) == [1, 1, 5]


async def test_idle_connections_per_origin_are_bounded(client: AgentClient) -> None:
    """A burst leaves at most the bound open; the rest are closed at once."""
    burst = MAX_IDLE_CONNECTIONS + 6
    barrier = asyncio.Barrier(burst)

    async def together(peer: Peer) -> None:
        await barrier.wait()
        await peer.write(GOOD)

    async with instance(*[together] * burst) as there:
        await asyncio.gather(*(client.call(there.origin, "GET", "/").response() for _ in range(burst)))
        assert len(there.peers) == burst
        async with asyncio.timeout(5):
            while sum(peer.gone.is_set() for peer in there.peers) < burst - MAX_IDLE_CONNECTIONS:  # noqa: ASYNC110  # any
                await asyncio.sleep(0)
        assert len(client._pools[there.origin]._idle) == MAX_IDLE_CONNECTIONS


async def test_connection_that_ended_while_idle_is_skipped(client: AgentClient) -> None:
    """The end of an idle connection is noticed, and the next call opens another."""
    async with instance(closing(GOOD)) as there:
        await client.call(there.origin, "GET", "/").response()
        await until_gone(there.peers[0])
        assert (await client.call(there.origin, "GET", "/").response()).status == 200
        assert len(there.peers) == 2
        assert len(client._pools[there.origin]._open) == 1


async def test_end_of_an_idle_connection_leaves_nothing_behind(client: AgentClient) -> None:
    """An instance that exits takes its pool with it, with no call and no timer needed."""
    async with instance() as there:
        await client.call(there.origin, "GET", "/").response()
        connection = client._pools[there.origin]._idle[0]
    await connection.closed
    del connection
    await asyncio.sleep(0)
    assert not list(client._pools)


async def test_end_that_the_event_loop_has_not_seen_yet_is_skipped(client: AgentClient) -> None:
    """A socket closed in this very turn of the loop gets no request: it could not be repeated."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        origin = Origin(*listener.getsockname())

        async def serve_one() -> socket.socket:
            connection, _ = await loop.sock_accept(listener)
            await loop.sock_recv(connection, 65536)
            await loop.sock_sendall(connection, GOOD)
            return connection

        async with asyncio.TaskGroup() as group:
            first = group.create_task(serve_one())
            await client.call(origin, "GET", "/").response()
        second = asyncio.ensure_future(serve_one())
        async with pending(second):
            first.result().close()
            assert (await client.call(origin, "GET", "/").response()).status == 200
            (await second).close()


async def test_bytes_sent_while_idle_close_the_connection(client: AgentClient) -> None:
    """What nobody asked for is never taken for the answer to the next request."""
    async with instance() as there:
        await client.call(there.origin, "GET", "/").response()
        there.peers[0].writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        await until_gone(there.peers[0])
        assert (await client.call(there.origin, "GET", "/").response()).body == b"hi"
        assert len(there.peers) == 2


async def test_connection_that_is_being_closed_is_skipped(client: AgentClient) -> None:
    """A connection closed for what came on it is not reused in the turn of the loop before it is gone."""
    async with instance() as there:
        await client.call(there.origin, "GET", "/").response()
        client._pools[there.origin]._idle[0].data_received(b"HTTP/1.1 200 OK\r\n")
        assert (await client.call(there.origin, "GET", "/").response()).body == b"hi"
        assert len(there.peers) == 2


async def test_idle_connections_of_a_stopping_instance_are_closed(client: AgentClient) -> None:
    """`close_idle` closes what idles there, and there only."""
    async with instance() as there, instance() as other:
        await client.call(there.origin, "GET", "/").response()
        await client.call(other.origin, "GET", "/").response()
        client.close_idle(there.origin)
        client.close_idle(Origin("127.0.0.1", 9))
        await until_gone(there.peers[0])
        await client.call(other.origin, "GET", "/").response()
        assert len(other.peers) == 1
