"""Nobody is closed or blamed while bytes of them lie unread in the kernel; here without a turn of the loop between."""

import asyncio
import socket

from agent_contract.http_connection import Connection
from agent_contract.http_patience import Patience, leave, sweep
from agent_contract.unread import end_unless_unread, has_unread

from tests.contract.serving_rig import Rig, both_loops, serving

pytestmark = both_loops

IMPATIENT = Patience(keep_alive=0, head=0, body=0)


async def connected(rig: Rig, said: bytes) -> tuple[socket.socket, Connection]:
    """Give a blocking client that has said this, and the server's side, which has read it."""
    client = socket.create_connection(("127.0.0.1", rig.port))
    client.sendall(said)
    await rig.settle()
    (connection,) = rig.server._connections()
    assert connection.untouched == (not said)
    return client, connection


async def test_what_lies_in_the_kernel_is_seen() -> None:
    """Bytes, and the client's end; nothing is read by looking."""
    async with serving() as rig:
        client, connection = await connected(rig, b"")
        with client:
            assert not has_unread(connection.transport)
            client.sendall(b"x")
            assert has_unread(connection.transport)
            assert not end_unless_unread(connection.transport)
            await rig.settle()
            assert not has_unread(connection.transport)
            client.shutdown(socket.SHUT_WR)
            assert has_unread(connection.transport)


async def test_an_end_is_told_at_once() -> None:
    """The client sees it without a turn of the server's loop."""
    async with serving() as rig:
        client, connection = await connected(rig, b"")
        with client:
            assert end_unless_unread(connection.transport)
            assert client.recv(1) == b""


async def test_an_idle_connection_is_not_closed_over_a_request_that_has_arrived() -> None:
    """Neither by its keep-alive time nor by leaving: the request is read at the next turn and answered."""
    for close in (
        lambda connection, now: sweep(connection, now, IMPATIENT),
        lambda connection, now: leave(connection, now + 1, 0, 0),
    ):
        async with serving() as rig:
            client, connection = await connected(rig, b"\r\n")
            with client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
                close(connection, connection.loop.time() + 1)
                assert (await asyncio.to_thread(client.recv, 12)) == b"HTTP/1.1 200"


async def test_a_head_is_not_late_while_its_rest_has_arrived() -> None:
    """A loop that was blocked reads before it blames, in serving and in leaving."""
    for judge in (
        lambda connection, now: sweep(connection, now, IMPATIENT),
        lambda connection, now: leave(connection, now, 0, 0),
    ):
        for begun, rest in (
            (b"GET / HTTP/1.1\r\n", b"Host: t\r\n\r\n"),
            (b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\na", b"b"),
        ):
            async with serving() as rig:
                client, connection = await connected(rig, begun)
                with client:
                    client.sendall(rest)
                    judge(connection, connection.loop.time() + 1)
                    assert (await asyncio.to_thread(client.recv, 12)) == b"HTTP/1.1 200"
