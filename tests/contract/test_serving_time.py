"""Clients that idle, stall or vanish: each is bounded, and none is blamed for what the server had not read."""

import asyncio
import json
import socket
import time

import pytest
from agent_contract.serving import Server, listen

from tests.contract.serving_app import Application
from tests.contract.serving_rig import both_loops, serving

pytestmark = both_loops


async def test_a_head_that_does_not_come_gets_408() -> None:
    """The time runs from the first byte, whatever trickles in behind it."""
    async with serving(head_seconds=0.1) as rig:
        client = await rig.connect()
        client.send(b"GET / HTTP/1.1\r\n")
        trickle = asyncio.create_task(_trickle(rig.app, client.send))
        got = await client.answer()
        trickle.cancel()
        assert (got.status, json.loads(got.body)["code"], got.closes) == (408, "bad-request", True)


async def test_a_body_that_stalls_gets_408_and_its_handler_is_told() -> None:
    """The time runs anew with each piece."""
    async with serving(body_seconds=0.2) as rig:
        client = await rig.connect()
        client.send(b"POST /gone HTTP/1.1\r\nHost: t\r\nContent-Length: 99\r\n\r\n")
        for _ in range(4):
            await asyncio.sleep(0.1)
            client.send(b"x")
        begin = time.perf_counter()
        assert (await client.answer()).status == 408
        assert time.perf_counter() - begin > 0.15
        async with asyncio.timeout(5):
            await rig.app.disconnected.wait()


async def test_a_slow_application_is_not_its_clients_stall() -> None:
    """While reading is paused for an application that takes its time, no time runs against the client."""
    async with serving(body_seconds=0.1) as rig:
        client = await rig.connect()
        # as much as makes reading pause, and nothing of it stays in the kernel
        client.send(b"POST /slow HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n" + b"x" * 70_000)
        await asyncio.sleep(0.4)
        rig.app.release.set()
        client.send(b"x" * 30_000)
        assert len((await client.answer()).body) == 100_000


async def test_a_connection_that_never_says_anything_is_closed() -> None:
    """It counts as a head that does not come, without an answer to nothing."""
    async with serving(head_seconds=0.1) as rig:
        silent = await rig.connect()
        assert await silent.until_closed() == b""


async def test_an_idle_connection_is_kept_for_its_time_and_then_closed() -> None:
    """Never sooner than said: a client that gives it up sooner never meets the end."""
    async with serving(keep_alive_seconds=0.2) as rig:
        client = await rig.connect()
        for _ in range(3):
            await client.call()
            await asyncio.sleep(0.1)
        begin = time.perf_counter()
        await client.call()
        assert await client.until_closed() == b""
        assert 0.2 <= time.perf_counter() - begin < 1


async def test_a_request_in_hand_has_no_limit() -> None:
    """Neither an answer that takes long nor a stream is cut by the limits for clients."""
    async with serving(keep_alive_seconds=0.05, head_seconds=0.05, body_seconds=0.05) as rig:
        held, stream = await rig.begun(), await rig.begun("/stream")
        await asyncio.sleep(0.3)
        rig.app.release.set()
        rig.app.ended.set()
        assert (await held.answer()).whole
        assert (await stream.answer()).whole


async def test_a_blocked_event_loop_does_not_blame_its_clients() -> None:
    """What arrived while the loop stood still is served, although every limit has passed on the clock."""
    async with serving(keep_alive_seconds=0.1, head_seconds=0.1, body_seconds=0.1) as rig:
        idle, head, body = [await rig.connect() for _ in range(3)]
        await idle.call()
        head.send(b"POST /echo HTTP/1.1\r\n")
        body.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nha")
        await rig.settle()
        idle.request(body=b"half")
        head.send(b"Host: t\r\nContent-Length: 4\r\n\r\nhalf")
        body.send(b"lf")
        time.sleep(0.5)  # noqa: ASYNC251  # agent code that holds the interpreter
        assert [(await client.answer()).body for client in (idle, head, body)] == [b"half"] * 3


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the kernel's own limit is Linux's")
async def test_a_reader_that_takes_nothing_is_dropped_by_the_kernel() -> None:
    """A connection inherits the listener's limit for what is not taken; here shortened."""
    app = Application()
    sockets = listen("127.0.0.1", 0)
    assert sockets[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 120_000
    sockets[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 100)
    server = Server(app, sockets)
    await server.start()
    with socket.create_connection(sockets[0].getsockname()) as client:
        client.send(b"GET /big HTTP/1.1\r\nHost: t\r\n\r\n")
        async with asyncio.timeout(5):
            await server.leave()


async def _trickle(app: Application, send: object) -> None:
    del app
    assert callable(send)
    while True:
        await asyncio.sleep(0.02)
        send(b"X: y\r\n")
