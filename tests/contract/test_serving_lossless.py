"""Leaving loses no request that the kernel had taken; whoever comes at that moment is served whole or not at all."""

import asyncio
import socket

import pytest

from tests.contract.serving_rig import PATIENCE_SECONDS, Answer, Client, Rig, both_loops, serving

pytestmark = both_loops


async def test_a_connection_that_was_just_made_may_speak() -> None:
    """Its first bytes are on their way: it gets some milliseconds for them."""
    async with serving() as rig:
        client = await rig.connect()
        leaving = asyncio.create_task(rig.server.leave())
        await asyncio.sleep(0.005)
        client.request(body=b"hello")
        assert (await client.answer()).body == b"hello"
        await leaving


async def test_a_connection_taken_in_the_last_turn_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """An accepted connection of which the protocol knows nothing yet is not forgotten."""
    monkeypatch.setattr("agent_contract.serving._HANDSHAKE_SECONDS", 0)
    async with serving() as rig:
        client = _blocking_client(rig)
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        await rig.server.leave()
        client.settimeout(PATIENCE_SECONDS)
        assert _read_all(client).startswith(b"HTTP/1.1 200")
        client.close()


async def test_nothing_that_arrived_is_lost(anyio_backend: object) -> None:
    """200 clients, half on new connections and half on kept ones, whose bytes the kernel has as the order comes.

    None of them has been read by the server. Every one gets a whole answer.
    """
    del anyio_backend
    async with serving() as rig:
        kept = [await rig.connect() for _ in range(100)]
        for client in kept:
            await client.call()
        fresh = [_blocking_client(rig) for _ in range(100)]
        for client in kept:
            client.request(body=b"kept")
        for one in fresh:
            one.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nfresh")
        await rig.server.leave()
        assert [(got.body, got.whole) for got in [await client.answer() for client in kept]] == [(b"kept", True)] * 100
        for one in fresh:
            one.settimeout(PATIENCE_SECONDS)
            assert _read_all(one).endswith(b"fresh")
            one.close()


async def test_whoever_comes_at_that_moment_is_served_whole_or_not_at_all() -> None:
    """200 clients start all around the order: a whole answer, or none and then the application never saw it."""
    async with serving() as rig:
        clients = [await rig.connect() for _ in range(100)]
        for client in clients:
            await client.call()
        done_before = rig.app.done
        calls = [asyncio.create_task(_try(rig, client, turn)) for turn, client in enumerate(clients)]
        calls += [asyncio.create_task(_try(rig, None, turn)) for turn in range(100)]
        await asyncio.sleep(0)
        await rig.server.leave()
        answers = await asyncio.gather(*calls)
        assert all(got is None or got.whole for got in answers)
        assert sum(got is not None for got in answers) == rig.app.done - done_before
        assert any(got is not None for got in answers)


async def _try(rig: Rig, client: Client | None, turn: int) -> Answer | None:
    """Call after some turns of the loop; None when the connection was refused, or ended without a byte."""
    for _ in range(turn):
        await asyncio.sleep(0)
    try:
        client = client or await rig.connect()
        got = await client.call(body=b"x")
    except ConnectionError:
        return None
    return got if got.status else None


def _blocking_client(rig: Rig) -> socket.socket:
    """Give a connection that the kernel has made and the server has not accepted."""
    return socket.create_connection(("127.0.0.1", rig.port))


def _read_all(client: socket.socket) -> bytes:
    data = b""
    while piece := client.recv(65536):
        data += piece
    return data
