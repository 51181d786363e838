"""Connections that cannot be made, and calls that are given up at each point of their way."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from agent_manager.agent_client import AgentClient, CallTimedOut, ConnectFailed, ConnectionLost, Origin
from agent_manager.agent_client.pool import Pool

from tests.manager.agent_client.scripted_instance import GOOD, Peer, instance, until_gone

if TYPE_CHECKING:
    from agent_manager.agent_client.connection import Connection

    from tests.manager.agent_client.conftest import Clock


async def test_refused_connection_says_so(client: AgentClient) -> None:
    """Nobody listens: nothing was sent, and it is known why."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = Origin(*listener.getsockname())
    call = client.call(origin, "POST", "/execute", body=b"{}")
    with pytest.raises(ConnectFailed, match=r"cannot connect to http://127\.0\.0\.1") as caught:
        await call.response()
    assert caught.value.refused
    assert not call.started


async def test_name_with_several_addresses_says_that_all_refused(
    client: AgentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each address of a name is tried, and refused by all is refused."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    async def two_addresses(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, 1, 6, "", (address, port)) for address in ("127.0.0.1", "127.0.0.2")]

    class Resolver:
        getaddrinfo = staticmethod(two_addresses)
        create_connection = asyncio.get_running_loop().create_connection

    monkeypatch.setattr("agent_manager.agent_client.pool.asyncio.get_running_loop", Resolver)
    with pytest.raises(ConnectFailed) as caught:
        await client.call(Origin("planner", port), "GET", "/").response()
    assert caught.value.refused


async def test_unknown_name_is_not_refused(client: AgentClient) -> None:
    """A name that resolves to nothing is a failed connection; nobody refused it."""
    with pytest.raises(ConnectFailed) as caught:
        await client.call(Origin("no-such-agent.invalid", 9), "GET", "/").response()
    assert not caught.value.refused


async def test_name_is_resolved(client: AgentClient) -> None:
    """An origin may be a name."""
    async with instance() as there:
        assert (await client.call(Origin("localhost", there.origin.port), "GET", "/").response()).status == 200


async def test_connection_that_ends_before_the_request_is_a_failed_one(
    client: AgentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that leaves between our connect and our request got nothing: another instance may be tried."""
    connect = Pool.connect

    async def connect_and_wait(pool: Pool) -> Connection:
        connection = await connect(pool)
        hang_up.set()
        await hung_up.wait()
        return connection

    async def hang_up_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hang_up.wait()
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    hang_up, hung_up = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(Pool, "connect", connect_and_wait)
    server = await asyncio.start_server(hang_up_at_once, "127.0.0.1", 0)
    call = client.call(Origin("127.0.0.1", server.sockets[0].getsockname()[1]), "POST", "/execute")
    with pytest.raises(ConnectFailed, match="closed the connection, or spoke first") as caught:
        await call.response()
    assert not caught.value.refused
    assert not call.started
    server.close()


async def test_connection_that_is_not_answered_fails_in_time(deaf_origin: Origin) -> None:
    """A connect takes at most its timeout, and nothing was sent."""
    client = AgentClient(connect_timeout_seconds=0.05)
    call = client.call(deaf_origin, "GET", "/")
    with pytest.raises(ConnectFailed, match=r"no answer within 0\.05 s") as caught:
        await call.response()
    assert not caught.value.refused
    assert not call.started
    await client.close()


async def test_abort_ends_the_wait_for_a_connection(client: AgentClient, deaf_origin: Origin) -> None:
    """A call that is given up while it connects raises what it was given, at once."""
    call = client.call(deaf_origin, "GET", "/")
    asyncio.get_running_loop().call_later(0.01, call.abort, ConnectionLost("the probes say so"))
    with pytest.raises(ConnectionLost, match="the probes say so"):
        async with asyncio.timeout(1):
            await call.response()
    assert not call.started


async def test_abort_before_anything_was_sent(client: AgentClient) -> None:
    """A call that was given up sends nothing."""
    async with instance() as there:
        call = client.call(there.origin, "GET", "/")
        call.abort(ConnectionLost("the client left"))
        with pytest.raises(ConnectionLost, match="the client left"):
            await call.response()
        assert not there.peers


async def test_abort_closes_the_connection_and_raises_its_error(client: AgentClient) -> None:
    """A call that waits for its answer is given up on evidence from elsewhere."""

    async def abort_then_wait(peer: Peer) -> None:
        call.abort(CallTimedOut("silent for one TTL"))
        await peer.wait_gone()

    async with instance(abort_then_wait) as there:
        call = client.call(there.origin, "POST", "/execute")
        with pytest.raises(CallTimedOut, match="silent for one TTL"):
            await call.response()
        assert call.started
        await until_gone(there.peers[0])


async def test_abort_of_a_finished_call_leaves_its_connection_alone(client: AgentClient) -> None:
    """The connection of a finished call may already carry another one."""

    async def abort_the_other(peer: Peer) -> None:
        finished.abort(ConnectionLost("too late"))
        await peer.write(GOOD)

    async with instance(GOOD, abort_the_other) as there:
        finished = client.call(there.origin, "GET", "/")
        await finished.response()
        assert (await client.call(there.origin, "GET", "/").response()).body == b"hi"
        assert len(there.peers) == 1


async def test_cancelled_wait_closes_the_connection(client: AgentClient) -> None:
    """An answer that nobody waits for any more must not meet the next request."""
    arrived = asyncio.Event()

    async def never(peer: Peer) -> None:
        arrived.set()
        await peer.wait_gone()

    async with instance(never) as there:
        task = asyncio.ensure_future(client.call(there.origin, "GET", "/").response())
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until_gone(there.peers[0])


async def test_close_ends_calls_in_hand_and_refuses_others(clock: Clock) -> None:
    """After `close` no connection is left and none is made."""
    client = AgentClient(clock=clock)
    arrived = asyncio.Event()

    async def never(peer: Peer) -> None:
        arrived.set()
        await peer.wait_gone()

    async with instance(GOOD, never) as there:
        await client.call(there.origin, "GET", "/").response()
        task = asyncio.ensure_future(client.call(there.origin, "GET", "/").response())
        await arrived.wait()
        await client.close()
        with pytest.raises(ConnectionLost, match="client was closed"):
            await task
        await until_gone(there.peers[0])
        with pytest.raises(ConnectFailed, match="client is closed"):
            await client.call(there.origin, "GET", "/").response()


async def test_a_connection_given_up_while_it_is_made_is_not_waited_for(client: AgentClient) -> None:
    """At whichever turn of the event loop: uvloop tells nobody of its end, and a close would wait for ever."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        for turns in range(8):
            making = asyncio.create_task(client._pool(Origin(*listener.getsockname())).connect())
            for _ in range(turns):
                await asyncio.sleep(0)
            making.cancel()
            await asyncio.wait([making])
        async with asyncio.timeout(5):
            await client.close()
