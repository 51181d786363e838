"""Streams, tasks without a waiting caller, cancels and keys, on a real process."""

import asyncio
import json
from typing import Any

from agent_contract.sse import EventParser

from tests.processes.adapter_process import AdapterProcess
from tests.processes.conftest import Launch

ASYNC = {"prefer": "respond-async"}


async def finished(adapter: AdapterProcess, task_id: str) -> Any:
    """Ask for a task as a client does until it is done."""
    async with asyncio.timeout(20):
        while True:
            answer = await adapter.client.get(f"/tasks/{task_id}")
            if "Retry-After" not in answer.headers:
                return answer.json()
            await asyncio.sleep(0.01)


async def events(adapter: AdapterProcess, parameters: dict[str, Any], most: int = 100) -> list[tuple[str, Any]]:
    """Give the first events of a streamed call, then leave it."""
    found: list[tuple[str, Any]] = []
    parser = EventParser()
    headers = {"Accept": "text/event-stream"}
    body = {"parameters": parameters}
    async with adapter.client.stream("POST", "/execute", json=body, headers=headers) as answer:
        async for piece in answer.aiter_raw():
            found += [(event.event, json.loads(event.data)) for event in parser.feed(piece)]
            if len(found) >= most:
                break
    return found


async def test_a_stream_comes_chunk_by_chunk(launch: Launch) -> None:
    """From Python and from any program: chunks, then the result."""
    python, program = await launch("sample:stream"), await launch("child.py")
    found = await events(python, {"count": 3})
    assert found[:-1] == [("chunk", 0), ("chunk", 1), ("chunk", 2)]
    assert (found[-1][0], found[-1][1]["result"]) == ("result", [0, 1, 2])
    found = await events(program, {"chunks": 2})
    assert found[:-1] == [("chunk", 0), ("chunk", 1)]
    assert (found[-1][0], found[-1][1]["result"]) == ("result", [0, 1])


async def test_a_reader_that_leaves_cancels(launch: Launch) -> None:
    """The generator's own `finally` runs, and the slot is free."""
    adapter = await launch("sample:stream")
    assert await events(adapter, {"count": 1000, "seconds": 0.01}, most=1) == [("chunk", 0)]
    await adapter.said("stream closed")
    assert (await adapter.status())["tasks"] == []
    [task] = (await adapter.client.get("/tasks")).json()["tasks"]
    assert task["state"] == "cancelled"


async def test_an_accepted_task_is_asked_for_by_its_id(launch: Launch) -> None:
    """202, then running with its progress, then the result."""
    adapter = await launch()
    answer = await adapter.execute({"seconds": 0.2}, **ASYNC)
    task_id = answer.json()["taskId"]
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/tasks/{task_id}")
    await adapter.begun()
    running = (await adapter.client.get(f"/tasks/{task_id}")).json()
    assert (running["state"], running["progress"]) == ("running", {"fraction": 0.1, "message": "begun"})
    assert (await finished(adapter, task_id))["result"] == {"seconds": 0.2}


async def test_async_code_is_cancelled(launch: Launch) -> None:
    """By cancellation; its caller gets 409 and is told that work had begun."""
    adapter = await launch()
    call = asyncio.create_task(adapter.execute({"seconds": 60}))
    await adapter.begun()
    task_id = (await adapter.status())["current_task"]
    assert (await adapter.client.delete(f"/tasks/{task_id}")).status_code == 202
    body = (await call).json()
    assert (body["status"], body["code"], body["started"], body["outcome"]) == (
        409,
        "agent-cancelled",
        True,
        "cancelled",
    )
    again = await adapter.client.delete(f"/tasks/{task_id}")
    assert (again.status_code, again.json()["code"]) == (409, "already-ended")


async def test_a_thread_is_told_of_its_cancel(launch: Launch) -> None:
    """It looks at `context.cancelled`; the slot is free before it does."""
    adapter = await launch("sample:polite")
    task_id = (await adapter.execute({}, **ASYNC)).json()["taskId"]
    await adapter.said("begun")
    await adapter.client.delete(f"/tasks/{task_id}")
    assert (await finished(adapter, task_id))["state"] == "cancelled"
    assert (await adapter.status())["tasks"] == []
    await adapter.said("noticed")


async def test_a_child_is_told_of_its_cancel(launch: Launch) -> None:
    """By a line."""
    adapter = await launch("child.py")
    task_id = (await adapter.execute({"mute": True}, **ASYNC)).json()["taskId"]
    await adapter.begun()
    await adapter.client.delete(f"/tasks/{task_id}")
    await adapter.said("told to cancel")
    assert (await finished(adapter, task_id))["problem"]["outcome"] == "cancelled"


async def test_a_child_that_dies_fails_its_task_and_is_started_again(launch: Launch) -> None:
    """F5: 500 `agent-crashed`, then the next call meets a new child; no hang, and the metrics say so."""
    adapter = await launch("child.py")
    first = (await adapter.execute()).json()["result"]["pid"]
    crashed = await adapter.execute({"die": True})
    assert (crashed.status_code, crashed.json()["code"]) == (500, "agent-crashed")
    assert (await adapter.execute({"a": 1})).json()["result"]["pid"] != first
    assert "agent_child_restarts_total 1.0" in (await adapter.client.get("/metrics")).text
    assert (await adapter.client.get("/ready")).status_code == 200
    await adapter.act("stop")
    assert await adapter.exited() == 0


async def test_a_child_blames_its_caller(launch: Launch) -> None:
    """`BadParameters` is 422 with the field that it names."""
    answer = await (await launch("child.py")).execute({"blame": "parameters.a"})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (
        422,
        "bad-parameters",
        "parameters.a",
    )


async def test_a_key_is_executed_once(launch: Launch) -> None:
    """The first result again; 409 while it runs; 422 for another body."""
    adapter = await launch()
    call = asyncio.create_task(adapter.execute({"seconds": 0.3}, idempotency_key="k"))
    await adapter.begun()
    in_use = await adapter.execute({"seconds": 0.3}, idempotency_key="k")
    assert (in_use.status_code, in_use.json()["code"]) == (409, "key-in-use")
    first = (await call).json()
    assert (await adapter.execute({"seconds": 0.3}, idempotency_key="k")).json() == first
    reused = await adapter.execute({"seconds": 0.4}, idempotency_key="k")
    assert (reused.status_code, reused.json()["code"]) == (422, "key-reused")
    assert len((await adapter.client.get("/tasks")).json()["tasks"]) == 1


async def test_whoever_is_over_the_queue_gets_a_real_estimate(launch: Launch) -> None:
    """503 with the seconds after which a place will be free, from what tasks took before."""
    adapter = await launch(AGENT_MAX_QUEUE="1")
    await adapter.execute({"seconds": 1.2})
    assert [(await adapter.execute({"seconds": 60}, **ASYNC)).status_code for _ in range(2)] == [202, 202]
    refused = await adapter.execute({})
    assert (refused.status_code, refused.json()["code"]) == (503, "at-capacity")
    assert refused.headers["Retry-After"] == "2"


async def test_a_dummy_gives_back_what_it_gets(launch: Launch) -> None:
    """Without the agent's code: broken code does not matter; the knobs work."""
    adapter = await launch("broken:echo", "--dummy")
    assert (await adapter.execute({"a": 1})).json()["result"] == {"a": 1}
    assert (await adapter.execute({"chunks": 2})).json()["result"] == [{"chunk": 0}, {"chunk": 1}]
    assert (await adapter.execute({"fail": True})).json()["detail"] == "RuntimeError: told to fail"
    for knob, value in (("sleepSeconds", "x"), ("sleepSeconds", -1), ("chunks", 1.5), ("fail", "yes")):
        answer = await adapter.execute({knob: value})
        assert (answer.status_code, answer.json()["field"]) == (422, f"parameters.{knob}")
