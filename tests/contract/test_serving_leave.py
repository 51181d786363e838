"""Leaving: what has arrived is answered, what has not is not waited for, and nothing that the kernel took is lost."""

import asyncio
import gc
import os
import time
from contextlib import suppress
from statistics import median

import pytest
from agent_contract.serving import Server, inherited

from tests.contract.serving_app import BIG_BYTES
from tests.contract.serving_rig import PATIENCE_SECONDS, both_loops, serving

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


async def test_a_slow_application_is_not_an_unfinished_request() -> None:
    """A body that waits for its application to read on is the application's work, which has no limit here."""
    async with serving() as rig:
        client = await rig.connect()
        # as much as makes reading pause, and nothing of it stays in the kernel
        client.send(b"POST /slow HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n" + b"x" * 70_000)
        await rig.settle()
        leaving = asyncio.create_task(rig.server.leave(unfinished_seconds=0.05))
        await asyncio.sleep(0.2)
        rig.app.release.set()
        client.send(b"x" * 30_000)
        assert len((await client.answer()).body) == 100_000
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
