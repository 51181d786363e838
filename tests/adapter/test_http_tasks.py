"""Tasks without a waiting caller: 202, asking by id, cancelling, idempotency keys."""

import asyncio

import pytest
from agent_contract.identity import is_uuid

from tests.adapter.conftest import StartAdapter
from tests.adapter.running_adapter import PATIENCE_SECONDS
from tests.adapter.sample_agents import Gate

ASYNC = {"prefer": "respond-async"}
UNKNOWN = "00000000-0000-7000-8000-000000000000"


@pytest.mark.parametrize("prefer", ["respond-async", "wait=10, Respond-Async", "respond-async; x=1"])
async def test_respond_async_is_202_with_a_place_to_ask(start: StartAdapter, prefer: str) -> None:
    """RFC 7240: the preference is said to be applied, and `Location` names the task."""
    adapter = await start()
    answer = await adapter.execute({"a": 1}, prefer=prefer)
    task_id = answer.json()["taskId"]
    assert (answer.status_code, list(answer.json())) == (202, ["taskId"])
    assert answer.headers["Location"] == f"/tasks/{task_id}"
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert answer.headers["X-Task-Id"] == task_id
    await adapter.in_hand(0)
    found = (await adapter.client.get(answer.headers["Location"])).json()
    assert (found["state"], found["result"]) == ("succeeded", {"a": 1})


async def test_a_task_shows_its_whole_life(start: StartAdapter) -> None:
    """Queued, running with its progress, succeeded; `Retry-After` as long as it is not done."""
    adapter = await start("gated")
    ids = [(await adapter.execute({"n": n}, **ASYNC, x_agent_caller="ci")).json()["taskId"] for n in range(2)]
    await asyncio.wait_for(Gate.entered.wait(), PATIENCE_SECONDS)
    running, queued = [await adapter.client.get(f"/tasks/{task_id}") for task_id in ids]
    assert (running.json()["state"], queued.json()["state"]) == ("running", "queued")
    assert running.json()["progress"] == {"fraction": 0.5, "message": "at the gate"}
    assert (queued.json()["progress"], queued.json()["startedAt"]) == (None, None)
    assert {each.json()["caller"] for each in (running, queued)} == {"ci"}
    assert all(int(each.headers["Retry-After"]) >= 1 for each in (running, queued))
    Gate.opened.set()
    await adapter.in_hand(0)
    done = await adapter.client.get(f"/tasks/{ids[0]}")
    body = done.json()
    assert "Retry-After" not in done.headers
    assert body["createdAt"] <= body["startedAt"] <= body["endedAt"]
    assert (body["state"], body["result"], "problem" in body) == ("succeeded", {"n": 0}, False)


async def test_a_failed_task_shows_its_problem(start: StartAdapter) -> None:
    """The same that its caller would have got."""
    adapter = await start("failing")
    task_id = (await adapter.execute({"kind": "value", "words": ["x"]}, **ASYNC)).json()["taskId"]
    await adapter.in_hand(0)
    body = (await adapter.client.get(f"/tasks/{task_id}")).json()
    assert (body["state"], body["problem"]["code"], body["problem"]["detail"]) == (
        "failed",
        "agent-failed",
        "ValueError: x",
    )
    assert "result" not in body


async def test_the_listing_has_no_results(start: StartAdapter) -> None:
    """In hand first, then the last that ended; by state, by key, at most so many."""
    adapter = await start("gated")
    Gate.opened.set()
    for number in range(3):
        await adapter.execute({"n": number}, idempotency_key=f"k{number}")
    Gate.opened.clear()
    running = (await adapter.execute({"n": 3}, **ASYNC)).json()["taskId"]
    tasks = (await adapter.client.get("/tasks")).json()["tasks"]
    assert tasks[0]["taskId"] == running
    assert [task["state"] for task in tasks] == ["running", "succeeded", "succeeded", "succeeded"]
    assert tasks[1]["endedAt"] > tasks[3]["endedAt"]
    assert all("result" not in task and "problem" not in task for task in tasks)

    async def listed(query: str) -> list[str]:
        return [task["taskId"] for task in (await adapter.client.get(f"/tasks?{query}")).json()["tasks"]]

    assert await listed("state=running") == [running]
    assert await listed("limit=2") == [task["taskId"] for task in tasks[:2]]
    assert await listed("key=k1") == [tasks[2]["taskId"]]
    assert await listed("key=k1&state=failed") == []
    Gate.opened.set()


async def test_an_unknown_task_is_404(start: StartAdapter) -> None:
    """Whatever its id looks like."""
    adapter = await start()
    for task_id in (UNKNOWN, "x", "%00", "a%0d%0ab", "x" * 500):
        for method in ("GET", "DELETE"):
            answer = await adapter.client.request(method, f"/tasks/{task_id}")
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown-task")


async def test_cancelling_a_running_task(start: StartAdapter) -> None:
    """202; its caller gets 409 `agent-cancelled` that says what became of it, and the code is cancelled."""
    adapter = await start("gated")
    call = asyncio.create_task(adapter.execute())
    await asyncio.wait_for(Gate.entered.wait(), PATIENCE_SECONDS)
    task_id = adapter.table.oldest_running
    assert (await adapter.client.delete(f"/tasks/{task_id}")).status_code == 202
    body = (await call).json()
    assert (body["status"], body["code"], body["started"], body["outcome"]) == (
        409,
        "agent-cancelled",
        True,
        "cancelled",
    )
    await asyncio.wait_for(Gate.left.wait(), PATIENCE_SECONDS)
    again = await adapter.client.delete(f"/tasks/{task_id}")
    assert (again.status_code, again.json()["code"]) == (409, "already-ended")


async def test_cancelling_a_queued_task(start: StartAdapter) -> None:
    """No work began, and its problem says so; those behind it move up."""
    adapter = await start("gated")
    calls = [asyncio.create_task(adapter.execute())]
    await adapter.in_hand(1)
    second = (await adapter.execute({}, **ASYNC)).json()["taskId"]
    calls.append(asyncio.create_task(adapter.execute({"n": 3})))
    await adapter.in_hand(1, 2)
    await adapter.client.delete(f"/tasks/{second}")
    Gate.opened.set()
    assert [answer.status_code for answer in await asyncio.gather(*calls)] == [200, 200]
    body = (await adapter.client.get(f"/tasks/{second}")).json()
    assert (body["state"], body["problem"]["started"]) == ("cancelled", False)


async def test_a_key_gives_the_first_result_again(start: StartAdapter) -> None:
    """The work is done once; the same task id comes back, in whichever way it is asked for."""
    adapter = await start()
    first, second = [await adapter.execute({"a": 1}, idempotency_key="k") for _ in range(2)]
    assert first.json() == second.json()
    assert second.headers["X-Task-Id"] == first.json()["taskId"]
    assert (await adapter.execute({"a": 1}, idempotency_key="k", **ASYNC)).json()["taskId"] == first.json()["taskId"]
    assert len(list(adapter.table.ended)) == 1


async def test_a_key_gives_the_first_failure_again(start: StartAdapter) -> None:
    """It ran, and it is not known whether it can run again."""
    adapter = await start("failing")
    found = [await adapter.execute({"kind": "value"}, idempotency_key="k") for _ in range(2)]
    assert [(each.status_code, each.json()) for each in found] == [(500, found[0].json())] * 2
    assert len(list(adapter.table.ended)) == 1


async def test_a_key_in_use_and_a_key_reused(start: StartAdapter) -> None:
    """409 while the first runs or waits, with its id; 422 for another body, at any time."""
    adapter = await start("gated")
    task_id = (await adapter.execute({"a": 1}, idempotency_key="k", **ASYNC)).json()["taskId"]
    queued = (await adapter.execute({"a": 2}, idempotency_key="l", **ASYNC)).json()["taskId"]
    for key, parameters, named in (("k", {"a": 1}, task_id), ("l", {"a": 2}, queued)):
        answer = await adapter.execute(parameters, idempotency_key=key)
        assert (answer.status_code, answer.json()["code"], answer.json()["taskId"]) == (409, "key-in-use", named)
    other = await adapter.execute({"a": 3}, idempotency_key="k")
    assert (other.status_code, other.json()["code"], other.json()["field"]) == (422, "key-reused", "Idempotency-Key")
    assert is_uuid(other.headers["X-Task-Id"])
    Gate.opened.set()


@pytest.mark.parametrize("state", ["stopping", "paused"])
async def test_a_known_key_is_answered_also_where_new_work_is_refused(start: StartAdapter, state: str) -> None:
    """Its result is there; nothing has to run."""
    adapter = await start("gated")
    Gate.opened.set()
    first = await adapter.execute({"a": 1}, idempotency_key="k")
    Gate.opened.clear()
    blocker = (await adapter.execute({}, **ASYNC)).json()["taskId"]
    adapter.lifecycle.act("stop" if state == "stopping" else "pause")
    assert (await adapter.execute({"a": 1}, idempotency_key="k")).json() == first.json()
    assert (await adapter.execute({"a": 2}, idempotency_key="new")).json()["code"] == state
    await adapter.client.delete(f"/tasks/{blocker}")


async def test_a_key_whose_task_never_began_is_free(start: StartAdapter) -> None:
    """A refusal is no result: the drain refused it while it waited, was called off, and the key runs."""
    adapter = await start("gated")
    blocker = (await adapter.execute({}, **ASYNC)).json()["taskId"]
    waiting = asyncio.create_task(adapter.execute({"a": 1}, idempotency_key="k"))
    await adapter.in_hand(1, 1)
    adapter.lifecycle.act("stop")
    assert (await waiting).json()["code"] == "stopping"
    adapter.lifecycle.call_off()
    await adapter.client.delete(f"/tasks/{blocker}")
    Gate.opened.set()
    assert (await adapter.execute({"a": 1}, idempotency_key="k")).json()["result"] == {"a": 1}


async def test_a_burst_ends_in_the_order_of_arrival(start: StartAdapter) -> None:
    """300 calls, one at a time, a queue of 300: 300 results, none overtaken."""
    adapter = await start("gated", process={"AGENT_MAX_QUEUE": "300"})
    calls = []
    for number in range(300):
        calls.append(await adapter.post({"n": number}))
        await adapter.in_hand(1, number)
    Gate.opened.set()
    answers = [await call.answer() for call in calls]
    assert [(status, body["result"]["n"]) for status, body in answers] == [(200, number) for number in range(300)]
    began = {task.task_id: task.started_at or 0.0 for task in adapter.table.ended}
    assert sorted(began, key=began.__getitem__) == [body["taskId"] for _, body in answers]
