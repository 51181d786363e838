"""Actions: orders to an agent that are followed to their end."""

from typing import Any

import pytest

from tests.manager.fake_adapter import FakeAdapter
from tests.manager.following import ended, steps
from tests.manager.manager_rig import ALL, ManagerRig


@pytest.mark.parametrize(
    ("action", "before", "state"), [("pause", "running", "paused"), ("resume", "paused", "running")]
)
async def test_pause_and_resume_reach_every_instance(rig: ManagerRig, action: str, before: Any, state: str) -> None:
    """Each answers, and the listing shows it at once: no beat came since."""
    adapters = [await rig.adapter(status=before) for _ in range(2)]
    ordered = await rig.act("echo", action)
    assert ordered.status_code == 202
    assert ordered.json()["action"] == action
    assert ordered.json()["instances"] == [{"instanceId": adapter.instance_id, "state": state} for adapter in adapters]
    assert [instance["state"] for instance in (await rig.listed())["instances"]] == [state, state]
    view = await ended(rig, ordered)
    assert (view["state"], steps(view)) == ("succeeded", ["done", "done"])


async def test_an_action_can_be_followed(rig: ManagerRig) -> None:
    """Its address is in the answer, and it is on the agent's list."""
    await rig.adapter()
    ordered = await rig.act("echo", "pause")
    action_id = ordered.json()["actionId"]
    assert ordered.headers["location"] == f"{ALL}/echo/actions/{action_id}"
    view = await ended(rig, ordered)
    assert (view["actionId"], view["action"], view["by"]) == (action_id, "pause", None)
    assert view["startedAt"] <= view["endedAt"]
    listed = (await rig.client.get(f"{ALL}/echo/actions")).json()["actions"]
    assert [action["actionId"] for action in listed] == [action_id]


async def test_one_failed_instance_makes_it_failed_and_the_others_go_on(rig: ManagerRig) -> None:
    """The error is the instance's own."""
    adapters = [await rig.adapter() for _ in range(2)]
    adapters[0].obeys = False
    ordered = await rig.act("echo", "pause")
    assert ordered.json()["instances"][0]["error"]["code"] == "stopping"
    view = await ended(rig, ordered)
    assert (view["state"], steps(view)) == ("failed", ["failed", "done"])
    assert view["instances"][0]["error"]["code"] == "stopping"
    assert adapters[1].state == "paused"


async def test_an_instance_that_cannot_be_reached_fails(rig: ManagerRig) -> None:
    """It says why."""
    adapter = await rig.adapter()
    await adapter.stop()
    view = await ended(rig, await rig.act("echo", "pause"))
    assert view["state"] == "failed"
    assert view["instances"][0]["error"]["code"] == "unavailable"
    assert "cannot connect" in view["instances"][0]["error"]["detail"]


@pytest.mark.parametrize(
    ("action", "desired"), [("pause", "paused"), ("resume", "running"), ("stop", "stopped"), ("restart", "running")]
)
async def test_an_action_is_what_newcomers_are_told(rig: ManagerRig, action: str, desired: str) -> None:
    """The desired state is what an operator last ordered; a restart is no such order."""
    await rig.adapter()
    await rig.act("echo", action)
    assert (await rig.listed())["desiredState"] == desired


async def test_an_action_on_one_instance_is_not(rig: ManagerRig) -> None:
    """It leaves the other instances and the agent's desired state alone."""
    adapters = [await rig.adapter() for _ in range(2)]
    await rig.act("echo", "pause", instanceId=adapters[1].instance_id)
    assert [adapter.state for adapter in adapters] == ["running", "paused"]
    assert (await rig.listed())["desiredState"] == "running"


async def test_the_timeout_is_passed_on(rig: ManagerRig) -> None:
    """The adapter's drain goes by it; what was not said is not sent."""
    adapter = await rig.adapter()
    await rig.act("echo", "pause")
    await rig.act("echo", "stop", timeoutSeconds=7)
    assert adapter.actions == [{"action": "pause"}, {"action": "stop", "timeoutSeconds": 7.0}]


async def test_a_stop_is_done_when_the_instance_has_left(rig: ManagerRig) -> None:
    """Until then it drains."""
    adapters = [await rig.adapter() for _ in range(2)]
    ordered = await rig.act("echo", "stop")
    assert [one["state"] for one in ordered.json()["instances"]] == ["stopping", "stopping"]
    view = (await rig.client.get(ordered.headers["location"])).json()
    assert (view["state"], view["endedAt"], steps(view)) == ("running", None, ["draining", "draining"])
    await rig.unregister(adapters[1])
    await rig.unregister(adapters[0])
    view = await ended(rig, ordered)
    assert (view["state"], steps(view)) == ("succeeded", ["done", "done"])


async def test_a_stop_of_an_instance_that_is_lost_fails(rig: ManagerRig) -> None:
    """Its last word did not come: what it had in hand may be lost."""
    adapter = await rig.adapter()
    ordered = await rig.act("echo", "stop")
    instance = rig.instance(adapter)
    rig.manager.registry._roster.drop(instance, "expired", rig.manager.clock())
    view = await ended(rig, ordered)
    assert (view["state"], view["instances"][0]["error"]["code"]) == ("failed", "unavailable")


@pytest.mark.parametrize(
    ("order", "status", "code", "field"),
    [
        ({"action": "start"}, 409, "not-supported", None),
        ({"action": "restart", "strategy": "rollout"}, 409, "not-supported", None),
        ({"action": "pause", "strategy": "rollout"}, 400, "bad-request", "strategy"),
        ({"action": "explode"}, 400, "bad-request", "action"),
        ({"action": "stop", "force": True}, 400, "bad-request", "force"),
        ({"action": "stop", "timeoutSeconds": -1}, 400, "bad-request", "timeoutSeconds"),
        ({"action": "stop", "timeoutSeconds": 1e99}, 400, "bad-request", "timeoutSeconds"),
        ({"action": "stop", "instanceId": ""}, 400, "bad-request", "instanceId"),
        ({"action": "stop", "instanceId": "nobody"}, 404, "unknown-instance", None),
        ({}, 400, "bad-request", "action"),
        ([], 400, "bad-request", "body"),
    ],
)
async def test_what_cannot_be_ordered_is_refused(
    rig: ManagerRig, order: Any, status: int, code: str, field: str | None
) -> None:
    """With the place that is to blame, and nothing is ordered."""
    adapter = await rig.adapter()
    answer = await rig.client.post(f"{ALL}/echo/action", json=order)
    assert (answer.status_code, answer.json()["code"], answer.json().get("field")) == (status, code, field)
    assert adapter.actions == []
    assert rig.desired() == "running"


async def test_a_start_says_what_to_type(rig: ManagerRig) -> None:
    """The platform starts processes, the manager does not."""
    await rig.adapter()
    detail = (await rig.act("echo", "start")).json()["detail"]
    assert "agentctl up echo" in detail
    assert "docker compose start echo" in detail


async def test_an_older_life_is_stale(rig: ManagerRig) -> None:
    """Its id does not come back."""
    adapter = await rig.adapter()
    await adapter.stop()
    await rig.adapter(port=adapter.port)
    answer = await rig.act("echo", "stop", instanceId=adapter.instance_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "stale-instance")


async def test_a_restart_of_nothing_is_refused(rig: ManagerRig) -> None:
    """There is nothing that could come back."""
    adapter = await rig.adapter()
    await rig.unregister(adapter)
    answer = await rig.act("echo", "restart")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


async def test_a_pause_of_nothing_is_what_newcomers_are_told(rig: ManagerRig) -> None:
    """An agent with no instance can be paused: the next one comes up paused."""
    adapter = await rig.adapter()
    await rig.unregister(adapter)
    view = await ended(rig, await rig.act("echo", "pause"))
    assert (view["state"], view["instances"]) == ("succeeded", [])
    newcomer = await FakeAdapter("echo").start()
    assert (await rig.register(newcomer)).json()["desiredState"] == "paused"
    await newcomer.stop()


async def test_an_unknown_agent_or_action_is_told_so(rig: ManagerRig) -> None:
    """404, each with its own code."""
    await rig.adapter()
    await rig.adapter("other")
    ordered = await rig.act("other", "pause")
    action_id = ordered.json()["actionId"]
    assert (await rig.act("nobody", "pause")).json()["code"] == "unknown-agent"
    assert (await rig.client.get(f"{ALL}/nobody/actions")).json()["code"] == "unknown-agent"
    assert (await rig.client.get(f"{ALL}/echo/actions/{action_id}")).json()["code"] == "unknown-action"
    assert (await rig.client.get(f"{ALL}/echo/actions/nothing")).status_code == 404


async def test_an_action_is_forgotten_after_an_hour(rig: ManagerRig) -> None:
    """One that goes on is kept."""
    await rig.adapter()
    over = await rig.act("echo", "pause")
    await ended(rig, over)
    goes_on = await rig.act("echo", "stop")
    actions = rig.manager.actions
    real = actions._clock
    actions._clock = lambda: real() + 3601
    assert (await rig.client.get(over.headers["location"])).json()["code"] == "unknown-action"
    assert (await rig.client.get(goes_on.headers["location"])).status_code == 200


async def test_actions_are_counted_and_journaled(rig: ManagerRig) -> None:
    """By what came of them."""
    adapter = await rig.adapter()
    await ended(rig, await rig.act("echo", "pause"))
    adapter.obeys = False
    await ended(rig, await rig.act("echo", "resume"))
    page = (await rig.client.get("/metrics")).text
    assert 'agent_manager_actions_total{action="pause",outcome="succeeded"} 1.0' in page
    assert 'agent_manager_actions_total{action="resume",outcome="failed"} 1.0' in page
    assert 'agent_manager_actions_total{action="stop",outcome="succeeded"} 0.0' in page
    frames = b"".join(rig.manager.journal._frames)
    assert b'"code":"pause-ordered"' in frames
    assert b'"code":"pause-succeeded"' in frames
    assert b'"code":"resume-failed"' in frames
