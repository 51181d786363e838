"""Who ordered what on which agent, and what came of it."""

from typing import Any

import httpx
import pytest
from agent_contract.identity import new_id
from agent_contract.wire import Drain
from agent_manager.access import Who
from agent_manager.app import TABLE
from agent_manager.audit import ORDERS

from tests.manager.manager_rig import ALL
from tests.security.audit.records import ADMIN, OPERATOR, VIEWER, Audited

TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
ORDERED: list[tuple[str, str, str, Any]] = [
    ("pause", "POST", f"{ALL}/echo/action", {"action": "pause"}),
    ("resume", "POST", f"{ALL}/echo/action", {"action": "resume"}),
    ("restart", "POST", f"{ALL}/echo/action", {"action": "restart"}),
    ("stop", "POST", f"{ALL}/echo/action", {"action": "stop"}),
    ("start", "POST", f"{ALL}/echo/action", {"action": "start"}),
    ("order", "POST", f"{ALL}/echo/action", {"action": "dance"}),
    ("move-drain", "PATCH", f"{ALL}/echo/drain", {"timeoutSeconds": 5}),
    ("call-drain-off", "DELETE", f"{ALL}/echo/drain", None),
    ("cancel-task", "DELETE", f"{ALL}/echo/tasks/t1", None),
]


def test_every_order_is_audited() -> None:
    """Whatever an operator alone may do is one."""
    assert [route.path for route in TABLE if route.who is Who.OPERATOR and route.audit not in ORDERS] == []


async def test_a_pause_is_noted_as_ordered_and_as_done(desk: Audited) -> None:
    """By whom, how they were known, from where, on what, in which trace; both lines are of one action."""
    answer = await desk.client.post(f"{ALL}/echo/action", json={"action": "pause"}, headers=OPERATOR | TRACE)
    action_id = answer.json()["actionId"]
    assert desk.audits(outcome="ordered") == [
        {
            "action": "pause",
            "outcome": "ordered",
            "by": "ola",
            "role": "operator",
            "known_by": "key",
            "from": "127.0.0.1",
            "agent": "echo",
            "action_id": action_id,
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
        }
    ]
    assert desk.audits(outcome="done") == [
        {"action": "pause", "outcome": "done", "by": "ola", "agent": "echo", "action_id": action_id}
    ]
    assert [event["by"] for event in await desk.events() if event["code"] == "pause-ordered"] == ["ola"]
    assert (await desk.count("pause", "ordered"), await desk.count("pause", "done")) == (1, 1)


async def test_an_action_that_fails_is_noted_with_why(desk: Audited) -> None:
    """The order was taken, and came to nothing."""
    await desk.adapter.stop()
    answer = await desk.client.post(f"{ALL}/echo/action", json={"action": "pause"}, headers=OPERATOR)
    (line,) = desk.audits(outcome="failed")
    assert (line["action"], line["by"], line["action_id"]) == ("pause", "ola", answer.json()["actionId"])
    assert line["code"]
    assert await desk.count("pause", "failed") == 1


async def test_a_viewer_who_orders_is_noted_by_name(desk: Audited) -> None:
    """What the body says is not read of somebody who may not, so that an action is only an order."""
    for action, method, path, body in ORDERED:
        answer = await desk.client.request(method, path, json=body, headers=VIEWER)
        line = desk.audits()[-1]
        assert (answer.status_code, line["outcome"], line["code"]) == (403, "refused", "forbidden")
        assert (line["by"], line["role"], line["known_by"], line["agent"]) == ("vera", "viewer", "key", "echo")
        assert line["action"] == ("order" if path.endswith("action") else action)
    said = [(event["code"], event.get("by")) for event in await desk.events()]
    assert (len(desk.audits()), said.count(("forbidden", "vera"))) == (len(ORDERED), len(ORDERED))
    assert (await desk.count("order", "refused"), await desk.count("cancel-task", "refused")) == (6, 1)


@pytest.mark.parametrize(("action", "method", "path", "body"), ORDERED, ids=[row[0] for row in ORDERED])
async def test_an_admin_s_order_is_noted_whatever_comes_of_it(
    desk: Audited, action: str, method: str, path: str, body: Any
) -> None:
    """With the problem's code where it is not carried out."""
    answer = await desk.client.request(method, path, json=body, headers=ADMIN)
    line = desk.audits()[-1] if answer.status_code >= 400 else desk.audits(outcome="ordered")[0]
    assert (line["action"], line["by"], line["role"], line["agent"]) == (action, "ada", "admin", "echo")
    assert line.get("code") == (answer.json()["code"] if answer.status_code >= 400 else None)


async def test_an_agent_that_does_not_exist_is_an_order_too(desk: Audited) -> None:
    """Somebody tries names."""
    answer = await desk.client.post(f"{ALL}/nobody/action", json={"action": "stop"}, headers=OPERATOR)
    (line,) = desk.audits()
    assert answer.status_code == 404
    assert (line["action"], line["agent"], line["code"]) == ("stop", "nobody", "unknown-agent")


async def test_calls_of_agents_are_counted_and_not_audited(desk: Audited) -> None:
    """The hot path writes no line."""
    answer = await desk.client.post(f"{ALL}/echo/execute", json={"parameters": {}}, headers=OPERATOR)
    assert answer.status_code == 200
    assert desk.audits() == []
    looked: httpx.Response = await desk.client.get(ALL, headers=VIEWER)
    assert looked.status_code == 200
    assert desk.audits() == []


async def test_a_steered_drain_is_noted_with_who_steered_it(desk: Audited) -> None:
    """Given more time, hurried, and called off."""
    desk.adapter.state = "stopping"
    desk.adapter.drain = Drain(reason="stop", safe_to_delete=False, blockers=[])
    where = f"{ALL}/echo/drain?instanceId={desk.adapter.instance_id}"
    for seconds in (300, 1):
        answer = await desk.client.patch(where, json={"timeoutSeconds": seconds}, headers=OPERATOR)
        assert answer.status_code == 200
    assert (await desk.client.delete(where, headers=ADMIN)).status_code == 200
    noted = [(one["action"], one["by"], one["outcome"], one["instance_id"]) for one in desk.audits()]
    assert noted == [
        ("move-drain", "ola", "done", desk.adapter.instance_id),
        ("move-drain", "ola", "done", desk.adapter.instance_id),
        ("call-drain-off", "ada", "done", desk.adapter.instance_id),
    ]
    said = [(event["code"], event.get("by")) for event in await desk.events()]
    assert (said.count(("drain-moved", "ola")), said.count(("drain-called-off", "ada"))) == (2, 1)


async def test_a_cancelled_task_is_noted_with_its_id(desk: Audited) -> None:
    """As line and as event."""
    task_id = new_id()
    desk.adapter.tasks[task_id] = {"taskId": task_id, "state": "running"}
    answer = await desk.client.delete(f"{ALL}/echo/tasks/{task_id}", headers=OPERATOR)
    (line,) = desk.audits(action="cancel-task")
    assert (answer.status_code, line["outcome"], line["task_id"], line["by"]) == (202, "done", task_id, "ola")
    assert ("task-cancel-ordered", "ola") in [(event["code"], event.get("by")) for event in await desk.events()]
