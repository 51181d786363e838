"""Leaving: what has arrived is answered, what has not is not waited for, and nothing that the kernel took is lost."""

import asyncio
import gc
import os
import socket
import time
from contextlib import suppress
from statistics import median

import pytest
from agent_contract.serving import Server, inherited

from tests.contract.serving_rig import BIG_BYTES, PATIENCE_SECONDS, Answer, Client, Rig, both_loops, serving

pytestmark = both_loops


async def test_an_idle_server_leaves_within_milliseconds() -> None:
    """Idle keep-alive connections are closed, not waited for: well under 15 ms, median of five."""
    took = []
    for _ in range(5):
        async with serving() as rig:
            idle = await rig.connect()
            await idle.call()
            begin = time.perf_counter()
            await rig.server.leave()
            took.append(time.perf_counter() - begin)
            assert await idle.until_closed() == b""
            assert await rig.refused()
    assert median(took) < 0.015


async def test_requests_in_the_application_are_waited_for() -> None:
    """Each is answered, with `Connection: close`, and then the server is gone at once."""
    async with serving() as rig:
        clients = [await rig.begun() for _ in range(3)]
        leaving = asyncio.create_task(rig.server.leave(unfinished_seconds=0))
        done, _ = await asyncio.wait([leaving], timeout=0.05)
        assert not done
        rig.app.release.set()
        answers = [await client.answer() for client in clients]
        assert [(got.body, got.closes) for got in answers] == [(b"held", True)] * 3
        await leaving


async def test_newcomers_are_answered_while_others_are_waited_for() -> None:
    """Until the last answer the listener stays open: a caller that does not know yet gets its 409, not a refusal."""
    async with serving() as rig:
        held = await rig.begun()
        leaving = asyncio.create_task(rig.server.leave())
        await rig.settle()
        assert (await rig.call("/early")).status == 409
        rig.app.release.set()
        assert (await held.answer()).whole
        await leaving
        assert await rig.refused()


async def test_callers_that_keep_coming_do_not_hold_the_exit() -> None:
    """Only what was begun at the order is waited for with an open listener."""
    async with serving() as rig:

        async def keep_calling() -> int:
            answered = 0
            with suppress(ConnectionError):
                while True:
                    answered += (await rig.call()).whole
            return answered

        callers = [asyncio.create_task(keep_calling()) for _ in range(8)]
        await rig.call()
        async with asyncio.timeout(2):
            await rig.server.leave()
        assert sum([await caller for caller in callers]) > 0


async def test_stopping_to_listen_leaves_requests_their_time() -> None:
    """A server that is to take no more keeps answering what it has, and the connection ends after that."""
    async with serving() as rig:
        held = await rig.begun()
        await rig.server.stop_listening()
        assert await rig.refused()
        assert rig.server.in_flight == 1
        rig.app.release.set()
        assert (await held.answer()).whole
        await rig.server.leave()


@pytest.mark.parametrize(
    "begun", [b"G", b"GET / HTTP/1.1\r\nHost: t\r\nX-", b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nhalf"]
)
async def test_an_unfinished_request_counts_for_a_while_and_then_gets_408(begun: bytes) -> None:
    """Neither a head nor a body that does not come holds the exit; its client is told."""
    async with serving() as rig:
        client = await rig.connect()
        client.send(begun)
        await rig.settle()
        begin = time.perf_counter()
        await rig.server.leave(unfinished_seconds=0.1)
        assert 0.1 <= time.perf_counter() - begin < 0.3
        assert (await client.answer()).status == 408


async def test_a_request_that_is_finished_in_time_is_answered() -> None:
    """What was begun at the order and comes whole within its second is served."""
    async with serving() as rig:
        client = await rig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nha")
        await rig.settle()
        leaving = asyncio.create_task(rig.server.leave())
        await rig.settle()
        client.send(b"lf")
        got = await client.answer()
        assert (got.body, got.closes) == (b"half", True)
        await leaving


async def test_a_stream_is_waited_for_and_a_follower_is_not() -> None:
    """A stream of work is answered to its end; a follower whose application does not end it is closed."""
    async with serving() as rig:
        stream = await rig.begun("/stream")
        follower = await rig.begun("/follow")
        leaving = asyncio.create_task(rig.server.leave())
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert b"data: 1" in await follower.until_closed()
        assert not leaving.done()
        rig.app.ended.set()
        assert (await stream.answer()).whole
        await leaving


async def test_a_follower_that_its_application_ends_sees_an_orderly_end() -> None:
    """The event that ends followers is set before leaving: their readers get the last chunk."""
    async with serving() as rig:
        follower = await rig.begun("/follow")
        rig.app.ended.set()
        await rig.server.leave()
        assert (await follower.answer()).whole


async def test_what_still_runs_of_a_closed_follower_is_cancelled() -> None:
    """The application ends before its lifespan does, also a handler that looks at nothing."""
    async with serving() as rig:
        await rig.begun("/follow")
        await rig.server.leave()
        assert rig.app.cancelled.is_set()
        assert rig.app.life[-1] == "lifespan.shutdown"


async def test_an_answer_is_waited_for_until_the_kernel_has_it() -> None:
    """A slow reader gets all of a large answer: it counts until it was handed to the socket."""
    async with serving() as rig:
        client = await rig.connect(limit=1024)
        client.request("/big")
        await asyncio.sleep(0.05)  # the answer is complete for the application, and far from sent
        assert rig.server.in_flight == 1
        leaving = asyncio.create_task(rig.server.leave())
        await rig.settle()
        assert not leaving.done()
        got = await client.answer()
        assert len(got.body) == BIG_BYTES
        await leaving


async def test_a_reader_that_never_reads_is_bounded_by_the_caller() -> None:
    """A timeout around `leave`, then `abort`, then `leave` again ends everything."""
    async with serving() as rig:
        client = await rig.connect(limit=1024)
        client.request("/big")
        await asyncio.sleep(0.05)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await rig.server.leave()
        rig.server.abort()
        async with asyncio.timeout(1):
            await rig.server.leave()
        assert rig.server.in_flight == 0
        assert rig.app.life[-1] == "lifespan.shutdown"


async def test_the_address_outlives_a_leave_that_keeps_it() -> None:
    """For an exec: who connects during it waits and is served by the next server on the inherited socket."""
    async with serving() as rig:
        descriptor = rig.server.detach()
        assert os.get_inheritable(descriptor)
        await rig.server.leave(keep_listening=True)
        waiting = await rig.connect()
        waiting.request(body=b"next life")
        listening = inherited(descriptor, "127.0.0.1", rig.port)
        assert listening is not None
        successor = Server(rig.app, [listening])
        await successor.start()
        assert (await waiting.answer()).body == b"next life"
        await successor.leave()


async def test_leaving_twice_is_leaving_once() -> None:
    """A second order finds nothing to do."""
    async with serving() as rig:
        await asyncio.gather(rig.server.leave(), rig.server.leave())
        await rig.server.leave()
        assert rig.app.life == ["lifespan.startup", "lifespan.shutdown"]


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


async def test_no_connection_or_task_is_left_behind() -> None:
    """Nothing of a server that left holds memory of its clients."""
    async with serving() as rig:
        for path in ("/echo", "/crash", "/half"):
            await rig.call(path)
        await rig.server.leave()
        server = rig.server
        assert (server.in_flight, len(server._shared.connections), len(server._shared.tasks)) == (0, 0, 0)
        gc.collect()
        ours = {task.get_name() for task in asyncio.all_tasks() if "Lifespan" in repr(task) or "run_asgi" in repr(task)}
        assert ours == set()


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
