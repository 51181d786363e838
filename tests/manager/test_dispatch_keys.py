"""Idempotency keys: the work of a key runs once, wherever the first call with it went."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from agent_manager.idempotency import read_key

from tests.manager.fake_adapter import Call, FakeAdapter
from tests.manager.manager_rig import ALL, ManagerRig, running_manager


async def keyed(rig: ManagerRig, key: str = "k", parameters: Any = None, **headers: str) -> httpx.Response:
    """Call an agent with a key."""
    return await rig.execute("echo", parameters, idempotency_key=key, **headers)


async def hand_over(rig: ManagerRig, adapter: FakeAdapter, task_id: str, key: str | None = "k", **outcome: Any) -> None:
    """Let an adapter hand a result over."""
    result = {"taskId": task_id, "key": key, "state": "succeeded", "endedAt": datetime.now(UTC).isoformat(), **outcome}
    body = {"id": adapter.agent_id, "instanceId": adapter.instance_id, "results": [result]}
    assert (await rig.client.post(f"{ALL}/results", json=body)).status_code == 204


async def test_a_key_goes_where_it_went_before(rig: ManagerRig) -> None:
    """Among several instances the one that has seen it answers, whoever has fewer calls."""
    adapters = [await rig.adapter() for _ in range(3)]
    first = await keyed(rig)
    again = [await keyed(rig) for _ in range(5)]
    assert {answer.headers["x-agent-instance"] for answer in again} == {first.headers["x-agent-instance"]}
    assert {answer.headers["x-task-id"] for answer in again} == {first.headers["x-task-id"]}
    assert sorted(len(adapter.calls) for adapter in adapters) == [0, 0, 6]


async def test_two_calls_with_one_key_at_once_go_to_one_instance(rig: ManagerRig) -> None:
    """The adapter tells the second one that the key is in use."""
    adapters = [await rig.adapter() for _ in range(2)]
    await asyncio.gather(*(keyed(rig) for _ in range(8)))
    assert sorted(len(adapter.calls) for adapter in adapters) == [0, 8]


async def test_keys_of_different_agents_have_nothing_to_do_with_each_other(rig: ManagerRig) -> None:
    """A key belongs to its agent."""
    one, other = await rig.adapter("echo"), await rig.adapter("other")
    await keyed(rig)
    await rig.execute("other", idempotency_key="k")
    assert (len(one.calls), len(other.calls)) == (1, 1)


async def test_a_refused_first_use_binds_nothing(rig: ManagerRig) -> None:
    """No work began there: the key goes elsewhere, and stays there."""
    adapters = [await rig.adapter() for _ in range(2)]
    for adapter in adapters:
        adapter.execute = lambda call: call.refuse("at-capacity")
    assert (await keyed(rig)).status_code == 503
    assert [len(adapter.calls) for adapter in adapters] == [1, 1]


async def test_a_key_that_was_handed_over_gives_that_result(rig: ManagerRig) -> None:
    """The instance left in order: its successor is not asked to do the work again."""
    adapter = await rig.adapter()
    first = await keyed(rig)
    await hand_over(rig, adapter, first.headers["x-task-id"], result={"answer": 42})
    successor = await rig.successor(adapter)
    again = await keyed(rig)
    assert again.status_code == 200
    assert again.json() == {"taskId": first.headers["x-task-id"], "result": {"answer": 42}, "durationSeconds": None}
    assert again.headers["x-agent-instance"] == adapter.instance_id
    assert successor.calls == []


async def test_a_failure_that_was_handed_over_is_given_as_it_was(rig: ManagerRig) -> None:
    """Its problem, with its own status."""
    adapter = await rig.adapter()
    first = await keyed(rig)
    problem = {"type": "about:blank", "title": "x", "status": 500, "detail": "no", "code": "agent-failed"}
    await hand_over(rig, adapter, first.headers["x-task-id"], state="failed", problem=problem)
    await rig.successor(adapter)
    again = await keyed(rig)
    assert (again.status_code, again.json()) == (500, problem)
    assert again.headers["content-type"] == "application/problem+json"


async def test_a_handed_over_key_answers_in_the_form_that_is_asked_for(rig: ManagerRig) -> None:
    """As a task to be fetched, or as a stream."""
    adapter = await rig.adapter()
    first = await keyed(rig)
    task_id = first.headers["x-task-id"]
    await hand_over(rig, adapter, task_id, result=1)
    await rig.successor(adapter)
    accepted = await keyed(rig, prefer="respond-async")
    assert (accepted.status_code, accepted.json()) == (202, {"taskId": task_id})
    assert accepted.headers["location"] == f"{ALL}/echo/tasks/{task_id}"
    streamed = await keyed(rig, accept="text/event-stream")
    assert streamed.headers["content-type"] == "text/event-stream"
    assert streamed.text.startswith("event: result\ndata: {")


async def test_a_handed_over_key_with_another_body_is_refused(rig: ManagerRig) -> None:
    """As the adapter would have refused it."""
    adapter = await rig.adapter()
    first = await keyed(rig, parameters={"a": 1})
    await hand_over(rig, adapter, first.headers["x-task-id"], result=1)
    await rig.successor(adapter)
    again = await keyed(rig, parameters={"a": 2})
    assert (again.status_code, again.json()["code"]) == (422, "key-reused")


async def test_a_key_whose_instance_was_lost_is_unknown_once(rig: ManagerRig) -> None:
    """Its client is told; the next use runs anew."""
    adapter = await rig.adapter()
    first = await keyed(rig)
    successor = await rig.successor(adapter)  # nothing was handed over
    again = await keyed(rig)
    assert (again.status_code, again.json()["code"]) == (502, "outcome-unknown")
    assert again.json()["taskId"] == first.headers["x-task-id"]
    anew = await keyed(rig)
    assert anew.status_code == 200
    assert anew.headers["x-task-id"] != first.headers["x-task-id"]
    assert len(successor.calls) == 1


async def test_a_client_that_was_told_so_already_runs_anew(rig: ManagerRig) -> None:
    """The first call itself got `outcome-unknown`: that was the once."""
    adapter = await rig.adapter()

    async def drop(call: Call) -> None:
        call.adapter.drop_connections()

    adapter.execute = drop
    assert (await keyed(rig)).json()["code"] == "outcome-unknown"
    successor = await rig.successor(adapter)
    assert (await keyed(rig)).status_code == 200
    assert len(successor.calls) == 1


async def test_a_repetition_whose_answer_was_lost_was_the_one_unknown(rig: ManagerRig) -> None:
    """It names the task that the key began; where that instance is lost for good, the next use runs anew."""
    adapter = await rig.adapter()
    first = await keyed(rig)

    async def drop(call: Call) -> None:
        call.adapter.drop_connections()

    adapter.keys.clear()  # it would answer from memory, and not drop the connection
    adapter.execute = drop
    lost = await keyed(rig)
    assert (lost.status_code, lost.json()["taskId"]) == (502, first.headers["x-task-id"])
    successor = await rig.successor(adapter)
    assert (await keyed(rig)).status_code == 200
    assert len(successor.calls) == 1


async def test_a_lost_answer_is_fetched_with_the_key(rig: ManagerRig) -> None:
    """The connection broke, the instance lives: it gives the result that it has, and works once."""
    adapters = [await rig.adapter() for _ in range(2)]

    async def drop(call: Call) -> None:
        call.adapter.drop_connections()

    for adapter in adapters:
        adapter.execute = drop
    first = await keyed(rig)
    again = await keyed(rig)
    assert (first.status_code, again.status_code) == (502, 200)
    assert again.headers["x-task-id"] == first.headers["x-task-id"]
    assert sum(len(adapter.keys) for adapter in adapters) == 1


async def test_a_young_manager_asks_for_keys_that_it_may_have_missed() -> None:
    """The manager before it sent the key to the second of two; nothing runs twice."""
    async with running_manager(old=False, heartbeat_interval_seconds=0.1) as rig:
        adapters = [await rig.adapter() for _ in range(2)]
        adapters[1].keys["k"] = "first-task"
        answers = [await keyed(rig) for _ in range(3)]
        assert {answer.headers["x-task-id"] for answer in answers} == {"first-task"}
        assert [len(adapter.calls) for adapter in adapters] == [0, 3]


async def test_a_young_manager_waits_until_it_knows_every_instance() -> None:
    """The one that has the key may not have registered again yet."""
    async with running_manager(old=False, heartbeat_interval_seconds=1) as rig:
        early = await rig.adapter()
        waiting = asyncio.create_task(keyed(rig))
        await rig.until(lambda: rig.manager.dispatcher.held_calls == 1)
        late = await FakeAdapter("echo").start()
        late.keys["k"] = "first-task"
        await rig.register(late)
        answer = await waiting
        assert answer.headers["x-task-id"] == "first-task"
        assert early.calls == []
        await late.stop()


async def test_a_new_key_runs_when_every_instance_has_said_no() -> None:
    """Each is asked once a call."""
    async with running_manager(old=False, heartbeat_interval_seconds=0.1) as rig:
        adapters = [await rig.adapter() for _ in range(2)]
        assert (await keyed(rig)).status_code == 200
        assert [adapter.requests.count("GET /tasks") for adapter in adapters] == [1, 1]
        assert sum(len(adapter.calls) for adapter in adapters) == 1


async def test_a_key_is_not_used_while_an_instance_cannot_be_asked() -> None:
    """It may be the one that works on it: a definite no is better than twice."""
    async with running_manager(old=False, heartbeat_interval_seconds=0.1, hold_seconds=0.3) as rig:
        await rig.adapter()
        silent = await rig.adapter()
        silent.silent = True
        answer = await keyed(rig)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


async def test_an_old_manager_asks_nobody(rig: ManagerRig) -> None:
    """It has seen every key of the last hour."""
    adapter = await rig.adapter()
    await keyed(rig)
    assert "GET /tasks" not in adapter.requests


async def test_a_manager_that_forgot_keys_asks_again(rig: ManagerRig) -> None:
    """The oldest are forgotten to bound memory; then a key that is not known may have been seen."""
    rig.manager.dispatcher._keys._max_keys = 1
    adapter = await rig.adapter()
    first = await keyed(rig, "one")
    await keyed(rig, "two")
    again = await keyed(rig, "one")
    assert again.headers["x-task-id"] == first.headers["x-task-id"]
    assert "GET /tasks" in adapter.requests


@pytest.mark.parametrize(
    ("value", "key"), [(None, None), (b"", None), (b"  a b ", "a b"), (b"x" * 256, None), (b"a\x00", None)]
)
def test_a_key_that_no_adapter_takes_is_none(value: bytes | None, key: str | None) -> None:
    """The adapter says what is wrong with it."""
    assert read_key(value) == key
