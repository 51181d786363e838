"""`Accept: text/event-stream`: chunks as they come, then the result or the problem; who leaves takes the task along."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from agent_contract.sse import EventParser

from tests.adapter.conftest import StartAdapter
from tests.adapter.running_adapter import PATIENCE_SECONDS, RunningAdapter
from tests.adapter.sample_agents import Gate

STREAM = {"Accept": "text/event-stream"}


@asynccontextmanager
async def stream(adapter: RunningAdapter, parameters: dict[str, Any]) -> AsyncIterator[httpx.Response]:
    """Give the answer of a streamed call while it is open."""
    body = {"parameters": parameters}
    async with adapter.client.stream("POST", "/execute", json=body, headers=STREAM) as answer:
        yield answer


async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """Give name and data of each event as it comes."""
    parser = EventParser()
    async for piece in answer.aiter_raw():
        for event in parser.feed(piece):
            yield event.event, json.loads(event.data)


async def test_chunks_come_before_the_result(start: StartAdapter) -> None:
    """Each a JSON value that the agent yielded; the result is the 200 body, its `result` the list of the chunks."""
    adapter = await start("streamed")
    async with stream(adapter, {"chunks": [{"a": 1}, "two", None]}) as answer:
        found = [event async for event in events(answer)]
    assert found[:-1] == [("chunk", {"a": 1}), ("chunk", "two"), ("chunk", None)]
    name, body = found[-1]
    assert (name, body["result"], sorted(body)) == (
        "result",
        [{"a": 1}, "two", None],
        ["durationSeconds", "result", "taskId"],
    )
    assert answer.headers["X-Task-Id"] == body["taskId"]
    assert answer.headers["content-type"] == "text/event-stream"
    assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")


async def test_a_chunk_is_sent_when_it_is_there(start: StartAdapter) -> None:
    """The first arrives while the agent still works."""
    adapter = await start("streamed")
    async with stream(adapter, {"chunks": [1], "wait": True}) as answer:
        came = events(answer)
        assert await anext(came) == ("chunk", 1)
        assert not adapter.table.idle
        Gate.opened.set()
        assert (await anext(came))[0] == "result"


async def test_without_a_reader_the_chunks_are_the_result(start: StartAdapter) -> None:
    """A plain call of a generator gives the list of what it yields."""
    adapter = await start("streamed")
    assert (await adapter.execute({"chunks": [1, 2]})).json()["result"] == [1, 2]
    assert (await adapter.execute({})).json()["result"] == []


async def test_a_stream_of_an_agent_without_chunks_is_its_result(start: StartAdapter) -> None:
    """Any agent can be asked for a stream."""
    async with stream(await start(), {"a": 1}) as answer:
        found = [event async for event in events(answer)]
    assert [(name, body["result"]) for name, body in found] == [("result", {"a": 1})]


async def test_a_failure_behind_chunks_is_an_event(start: StartAdapter) -> None:
    """The status has been sent; the problem comes as the last event."""
    async with stream(await start("failing"), {"kind": "value", "words": ["x"]}) as answer:
        found = [event async for event in events(answer)]
    assert [(name, body["code"], body["detail"]) for name, body in found] == [
        ("error", "agent-failed", "ValueError: x")
    ]


async def test_a_reader_that_leaves_cancels_the_task(start: StartAdapter) -> None:
    """Nobody else would read its chunks; the generator's own `finally` runs."""
    adapter = await start("streamed")
    async with stream(adapter, {"chunks": [1], "wait": True}) as answer:
        await anext(events(answer))
    await adapter.in_hand(0)
    await asyncio.wait_for(Gate.left.wait(), PATIENCE_SECONDS)
    assert [task.outcome for task in adapter.table.ended] == ["cancelled"]


async def test_a_reader_that_leaves_while_it_waits_cancels_too(start: StartAdapter) -> None:
    """The task never begins: it would work for nobody."""
    adapter = await start("gated")
    first = asyncio.create_task(adapter.execute())
    await adapter.in_hand(1)
    waiting = await adapter.post({}, "Accept: text/event-stream")
    await adapter.in_hand(1, 1)
    await waiting.leave()
    await adapter.in_hand(1, 0)
    Gate.opened.set()
    assert (await first).status_code == 200
    assert [task.outcome for task in adapter.table.ended] == ["succeeded", "cancelled"]


async def test_a_slow_reader_slows_the_agent_down(start: StartAdapter) -> None:
    """Chunks that nobody reads are not gathered without end: the agent waits."""
    adapter = await start("counted")
    async with stream(adapter, {"count": 100_000}) as answer:
        await anext(events(answer))
        task = next(iter(adapter.table.running.values()))
        assert task.outcome is None
    await adapter.in_hand(0)


async def test_a_sync_generator_streams_from_one_thread(start: StartAdapter) -> None:
    """What it opened in its thread (a database's cursor, say) is used in that thread alone."""
    adapter = await start("counted", process={"AGENT_MAX_CONCURRENCY": "4"})
    answers = await asyncio.gather(*(adapter.execute({"count": 100}) for _ in range(4)))
    for answer in answers:
        numbers, threads = zip(*answer.json()["result"], strict=True)
        assert numbers == tuple(range(100))
        assert len(set(threads)) == 1
        assert threads[0].startswith("agent")


async def test_a_queued_stream_is_refused_with_a_status(start: StartAdapter) -> None:
    """The order to leave finds it waiting: 409, to be tried elsewhere, not a stream with an error in it."""
    adapter = await start("gated")
    first = asyncio.create_task(adapter.execute())
    await adapter.in_hand(1)
    second = asyncio.create_task(adapter.client.post("/execute", json={"parameters": {}}, headers=STREAM))
    await adapter.in_hand(1, 1)
    adapter.lifecycle.act("stop")
    answer = await second
    assert (answer.status_code, answer.json()["code"], answer.headers["X-Agent-Refused"]) == (
        409,
        "stopping",
        "stopping",
    )
    Gate.opened.set()
    assert (await first).status_code == 200


async def test_chunks_over_10_mib_are_too_large(start: StartAdapter) -> None:
    """In all: their list is the result."""
    adapter = await start("streamed")
    async with stream(adapter, {"sizes": [4 << 20] * 3}) as answer:
        found = [(name, body["code"] if name == "error" else None) async for name, body in events(answer)]
    assert found == [("chunk", None), ("chunk", None), ("error", "result-too-large")]
    await asyncio.wait_for(Gate.left.wait(), PATIENCE_SECONDS)


async def test_a_quiet_stream_says_something_now_and_then(start: StartAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment, so that no proxy cuts it; here every 20 ms instead of 15 s."""
    from agent_adapter.handlers import stream as handler
    from agent_contract.sse import with_heartbeat

    monkeypatch.setattr(handler, "with_heartbeat", lambda source: with_heartbeat(source, 0.02))
    adapter = await start("streamed")
    async with stream(adapter, {"chunks": [], "wait": True}) as answer:
        pieces = answer.aiter_raw()
        assert [await anext(pieces), await anext(pieces)] == [b":\n\n", b":\n\n"]
        Gate.opened.set()
