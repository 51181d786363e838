"""Tasks through the manager: at whichever instance they are, or handed over by one that has left."""

from datetime import UTC, datetime
from typing import Any

import pytest
from agent_contract.identity import new_id

from tests.manager.fake_adapter import FakeAdapter
from tests.manager.manager_rig import ALL, ManagerRig

ONE = f"{ALL}/echo"


def task(state: str, minute: int, *, ended: bool = False) -> dict[str, Any]:
    """Give a task as an adapter lists it."""
    at = f"2026-01-01T00:{minute:02}:00Z"
    return {"taskId": new_id(), "state": state, "createdAt": at, "endedAt": at if ended else None}


def put(adapter: FakeAdapter, *tasks: dict[str, Any]) -> None:
    """Let an adapter have tasks."""
    adapter.tasks.update({one["taskId"]: one for one in tasks})


async def handed_over(rig: ManagerRig, adapter: FakeAdapter, task_id: str, **facts: Any) -> None:
    """Let an adapter hand a result over and leave."""
    result = {"taskId": task_id, "state": "succeeded", "endedAt": datetime.now(UTC).isoformat(), "result": 1, **facts}
    body = {"id": adapter.agent_id, "instanceId": adapter.instance_id, "results": [result]}
    await rig.client.post(f"{ALL}/results", json=body)
    await rig.unregister(adapter)
    await adapter.stop()


async def test_a_task_is_found_at_any_instance(rig: ManagerRig) -> None:
    """Byte for byte, with who has it."""
    adapters = [await rig.adapter() for _ in range(3)]
    wanted = task("running", 1)
    put(adapters[2], wanted)
    answer = await rig.client.get(f"{ONE}/tasks/{wanted['taskId']}")
    assert (answer.status_code, answer.json()) == (200, wanted)
    assert answer.headers["x-agent-instance"] == adapters[2].instance_id


async def test_the_instance_that_a_task_went_to_is_asked_first(rig: ManagerRig) -> None:
    """The others hear nothing of it."""
    adapters = [await rig.adapter() for _ in range(3)]
    for adapter in adapters:
        adapter.execute = lambda call: call.answer(status=202)
    answer = await rig.execute()
    has = next(adapter for adapter in adapters if adapter.calls)
    put(has, {"taskId": answer.headers["x-task-id"], "state": "running"})
    await rig.client.get(f"{ONE}/tasks/{answer.headers['x-task-id']}")
    asked = [adapter for adapter in adapters if any("/tasks/" in request for request in adapter.requests)]
    assert asked == [has]


async def test_a_task_is_cancelled_where_it_is(rig: ManagerRig) -> None:
    """The instance's own 202 comes back."""
    adapters = [await rig.adapter() for _ in range(2)]
    wanted = task("running", 1)
    put(adapters[1], wanted)
    answer = await rig.client.delete(f"{ONE}/tasks/{wanted['taskId']}")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")


async def test_a_handed_over_task_is_given_without_its_instance(rig: ManagerRig) -> None:
    """Nothing that finished is lost to a restart; when it was made stands in its id."""
    adapter = await rig.adapter()
    task_id = new_id()
    await handed_over(rig, adapter, task_id, result={"x": 1})
    view = await rig.get(f"{ONE}/tasks/{task_id}")
    assert (view["taskId"], view["state"], view["result"]) == (task_id, "succeeded", {"x": 1})
    made = datetime.fromisoformat(view["createdAt"])
    assert abs((datetime.now(UTC) - made).total_seconds()) < 5
    answer = await rig.client.delete(f"{ONE}/tasks/{task_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "already-ended")


async def test_a_task_that_nobody_has_is_unknown(rig: ManagerRig) -> None:
    """When every instance has said so."""
    await rig.adapter()
    for method in ("GET", "DELETE"):
        answer = await rig.client.request(method, f"{ONE}/tasks/nothing")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown-task")


async def test_a_task_is_not_unknown_while_an_instance_cannot_be_asked(rig: ManagerRig) -> None:
    """It may have it: 503, and worth asking again."""
    rig.manager.queries._live._answer_seconds = 0.1
    await rig.adapter()
    silent = await rig.adapter()
    silent.silent = True
    answer = await rig.client.get(f"{ONE}/tasks/{new_id()}")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


@pytest.mark.parametrize("path", ["..%2f..%2fstatus", "%00", "a%0d%0aX-Evil:1", "x" * 2000, "%3Fa=b", "%23"])
async def test_an_odd_task_id_reaches_no_other_path(rig: ManagerRig, path: str) -> None:
    """It is asked for as one name, or not at all."""
    adapter = await rig.adapter()
    answer = await rig.client.get(f"{ONE}/tasks/{path}")
    assert answer.status_code == 404
    assert [one for one in adapter.requests if not one.startswith("GET /tasks/") and one != "GET /status"] == []


async def test_tasks_of_all_instances_are_listed(rig: ManagerRig) -> None:
    """What runs first, then the last one that ended first, with who has it."""
    adapters = [await rig.adapter(), await rig.adapter(), await rig.adapter("other")]
    tasks = [task("succeeded", 1, ended=True), task("running", 2), task("failed", 3, ended=True), task("running", 4)]
    put(adapters[0], tasks[0], tasks[1])
    put(adapters[1], tasks[2])
    put(adapters[2], tasks[3])
    mine = (await rig.get(f"{ONE}/tasks"))["tasks"]
    assert [one["taskId"] for one in mine] == [tasks[number]["taskId"] for number in (1, 2, 0)]
    assert [one["instanceId"] for one in mine] == [adapters[number].instance_id for number in (0, 1, 0)]
    everyone = (await rig.get("/api/tasks"))["tasks"]
    assert [one["taskId"] for one in everyone] == [tasks[number]["taskId"] for number in (3, 1, 2, 0)]
    assert everyone[0]["agent"] == "other"
    assert [one["agent"] for one in (await rig.get("/api/tasks", agent="other"))["tasks"]] == ["other"]
    assert (await rig.get("/api/tasks", agent="nobody"))["tasks"] == []
    assert len((await rig.get("/api/tasks", limit=2))["tasks"]) == 2
    assert [one["state"] for one in (await rig.get("/api/tasks", state="failed"))["tasks"]] == ["failed"]


async def test_handed_over_tasks_are_listed_too(rig: ManagerRig) -> None:
    """Without their results."""
    adapter = await rig.adapter()
    await handed_over(rig, adapter, "t1", key="k")
    for path in (f"{ONE}/tasks", "/api/tasks", f"{ONE}/tasks?key=k", "/api/tasks?state=succeeded"):
        (listed,) = (await rig.get(path))["tasks"]
        assert (listed["taskId"], listed["agent"], listed["instanceId"]) == ("t1", "echo", adapter.instance_id)
        assert "result" not in listed
    assert (await rig.get(f"{ONE}/tasks?key=other"))["tasks"] == []


async def test_a_list_says_what_is_missing(rig: ManagerRig) -> None:
    """Of an instance that could not be asked."""
    await rig.adapter()
    gone = await rig.adapter()
    await gone.stop()
    (error,) = (await rig.get(f"{ONE}/tasks"))["errors"]
    assert (error["instanceId"], error["error"]["code"]) == (gone.instance_id, "unavailable")
