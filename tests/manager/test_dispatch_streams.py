"""Event streams through the manager: unbuffered, ended with their reader, told when they break."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator

import httpx
import msgspec
from agent_contract.sse import Event, EventParser

from tests.manager.fake_adapter import Call
from tests.manager.manager_rig import ALL, ManagerRig

WANTED = {"accept": "text/event-stream"}


@contextlib.asynccontextmanager
async def stream(rig: ManagerRig, agent_id: str = "echo") -> AsyncIterator[httpx.Response]:
    """Give an answer whose body is still coming."""
    path = f"{ALL}/{agent_id}/execute"
    async with rig.client.stream("POST", path, json={"parameters": {}}, headers=WANTED) as response:
        yield response


async def events_of(response: httpx.Response) -> list[Event]:
    """Give every event of a stream."""
    parser = EventParser()
    return [event async for piece in response.aiter_bytes() for event in parser.feed(piece)]


async def test_each_chunk_comes_before_the_next_one_is_made(rig: ManagerRig) -> None:
    """Nothing is kept back on the way."""
    adapter = await rig.adapter()
    go_on = asyncio.Semaphore(0)

    async def step_by_step(call: Call) -> None:
        await call.begin_stream()
        for number in range(3):
            await call.chunk(str(number).encode())
            await go_on.acquire()
        await call.end_stream()

    adapter.execute = step_by_step
    async with stream(rig) as response:
        parser, seen = EventParser(), []
        async for piece in response.aiter_bytes():
            for event in parser.feed(piece):
                seen.append(event.data)
                go_on.release()
    assert seen == ["0", "1", "2"]


async def test_a_stream_says_what_it_is_and_who_sends_it(rig: ManagerRig) -> None:
    """Proxies are told not to keep it back, clients which task it is."""
    adapter = await rig.adapter()

    async def empty(call: Call) -> None:
        await call.begin_stream()
        await call.end_stream()

    adapter.execute = empty
    async with stream(rig) as response:
        headers = response.headers
        await response.aread()
    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-store"
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-agent-instance"] == adapter.instance_id
    assert headers["x-task-id"] == adapter.calls[0].task_id


async def test_a_broken_stream_ends_with_an_error_event(rig: ManagerRig) -> None:
    """A blank line ends whatever was half said; then the problem says that nobody knows the outcome."""
    adapter = await rig.adapter()

    async def break_off(call: Call) -> None:
        await call.begin_stream()
        await call.chunk(b"1")
        await call.chunk(b"event: chunk\ndata: 2", event=None)
        await asyncio.sleep(0)
        call.adapter.drop_connections()

    adapter.execute = break_off
    async with stream(rig) as response:
        body = await response.aread()
    parser = EventParser()
    events = parser.feed(body)
    assert events[0] == Event("chunk", "1")
    assert events[-1].event == "error"
    problem = msgspec.json.decode(events[-1].data)
    assert (problem["code"], problem["status"], problem["outcome"]) == ("outcome-unknown", 502, "unknown")
    assert problem["taskId"] == adapter.calls[0].task_id
    assert b"\n\nevent: error\n" in body


async def test_a_reader_that_leaves_ends_the_adapter_s_side(rig: ManagerRig) -> None:
    """Within a second: the agent's work for nobody stops."""
    adapter = await rig.adapter()

    async def for_ever(call: Call) -> None:
        await call.begin_stream()
        await call.chunk(b"1")
        await call.left.wait()

    adapter.execute = for_ever
    async with stream(rig) as response:
        async for _ in response.aiter_bytes():
            break
    async with asyncio.timeout(1):
        await adapter.calls[0].left.wait()
        await rig.until(lambda: not rig.instance(adapter).calls)
    assert 'forward_requests_total{agent="echo",code="499"} 1.0' in (await rig.client.get("/metrics")).text


async def test_a_stream_counts_as_in_hand_until_it_ends(rig: ManagerRig) -> None:
    """The next call goes to another instance."""
    adapters = [await rig.adapter(), await rig.adapter()]
    release = asyncio.Event()

    async def wait(call: Call) -> None:
        await call.begin_stream()
        await call.chunk(b"1")
        await release.wait()
        await call.end_stream()

    for adapter in adapters:
        adapter.execute = wait
    async with stream(rig) as one, stream(rig) as other:
        async for _ in one.aiter_bytes():
            break
        async for _ in other.aiter_bytes():
            break
        assert [len(adapter.calls) for adapter in adapters] == [1, 1]
        release.set()
    await rig.until(lambda: rig.manager.dispatcher.idle)


async def test_a_refused_stream_is_tried_elsewhere(rig: ManagerRig) -> None:
    """A stream that did not begin is a call like any other."""
    adapters = [await rig.adapter(), await rig.adapter()]

    async def short(call: Call) -> None:
        await call.begin_stream()
        await call.chunk(b"1")
        await call.end_stream()

    adapters[0].execute = lambda call: call.refuse("at-capacity")
    adapters[1].execute = short
    for _ in range(2):
        async with stream(rig) as response:
            assert await events_of(response) == [Event("chunk", "1")]


async def test_a_slow_reader_slows_the_instance_down(rig: ManagerRig) -> None:
    """What nobody reads is not kept in the manager: 64 MiB do not arrive while the reader waits."""
    adapter = await rig.adapter()
    sent = 0

    async def flood(call: Call) -> None:
        nonlocal sent
        await call.begin_stream()
        for _ in range(1024):
            await call.chunk(b'"' + b"x" * 65536 + b'"')
            sent += 1
        await call.end_stream()

    adapter.execute = flood
    async with stream(rig) as response:
        pieces = response.aiter_raw()
        await anext(pieces)
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.05)
        assert sent < 700


async def test_the_first_chunk_is_as_soon_as_from_the_adapter_itself(rig: ManagerRig) -> None:
    """The median of 21 is at most 5 ms later than direct; a busy machine gets five chances, a wait of ours none."""
    adapter = await rig.adapter()

    async def at_once(call: Call) -> None:
        await call.begin_stream()
        await call.chunk(b"1")
        await call.end_stream()

    adapter.execute = at_once

    async def seconds(url: str) -> float:
        began = time.perf_counter()
        async with rig.client.stream("POST", url, json={"parameters": {}}, headers=WANTED) as response:
            await anext(response.aiter_bytes())
            return time.perf_counter() - began

    async def later() -> float:
        pairs = [(await seconds(f"{adapter.url}/execute"), await seconds(f"{ALL}/echo/execute")) for _ in range(21)]
        return statistics.median(through for _, through in pairs) - statistics.median(direct for direct, _ in pairs)

    assert min([await later() for _ in range(5)]) < 0.005
