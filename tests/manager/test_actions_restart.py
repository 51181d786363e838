"""Restarts in turn: the next instance when the last one is back, and what ends them."""

import pytest

from tests.manager.following import ended, steps, told
from tests.manager.manager_rig import ALL, ManagerRig


async def test_a_restart_goes_on_when_the_last_one_is_back(rig: ManagerRig) -> None:
    """One instance at a time; each has a successor with another id at its address."""
    adapters = [await rig.adapter() for _ in range(3)]
    ordered = await rig.act("echo", "restart")
    successors = []
    for number, adapter in enumerate(adapters):
        await told(rig, adapter)
        assert [len(one.actions) for one in adapters] == [1] * (number + 1) + [0] * (2 - number)
        successors.append(await rig.successor(adapter))
    view = await ended(rig, ordered)
    assert (view["state"], steps(view)) == ("succeeded", ["done"] * 3)
    assert [step["successor"] for step in view["instances"]] == [one.instance_id for one in successors]


async def test_a_restart_waits_until_the_successor_runs(rig: ManagerRig) -> None:
    """Registered is not enough."""
    adapters = [await rig.adapter() for _ in range(2)]
    await rig.act("echo", "restart")
    await told(rig, adapters[0])
    new = await rig.successor(adapters[0], status="starting")
    for _ in range(5):
        await rig.manager.registry.changed("echo", 0.02)
    assert adapters[1].actions == []
    new.state = "running"
    await rig.beat(new)
    await told(rig, adapters[1])


async def test_a_paused_instance_may_come_back_paused(rig: ManagerRig) -> None:
    """It was, and it is to be."""
    adapter = await rig.adapter()
    await rig.act("echo", "pause")
    ordered = await rig.act("echo", "restart")
    await rig.successor(adapter, status="paused")
    assert (await ended(rig, ordered))["state"] == "succeeded"


async def test_one_that_is_not_back_fails_and_the_others_are_left_alone(
    rig: ManagerRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty seconds after its drain; here a fifth of one."""
    monkeypatch.setattr("agent_manager.actions.orders.BACK_SECONDS", 0.2)
    monkeypatch.setattr("agent_manager.actions.orders._LOOK_SECONDS", 0.05)
    adapters = [await rig.adapter() for _ in range(2)]
    ordered = await rig.act("echo", "restart")
    await rig.unregister(adapters[0])
    view = await ended(rig, ordered)
    assert (view["state"], steps(view)) == ("failed", ["failed", "failed"])
    assert "not back" in view["instances"][0]["error"]["detail"]
    assert adapters[1].actions == []


async def test_one_that_refuses_to_restart_ends_it(rig: ManagerRig) -> None:
    """The others are left alone."""
    adapters = [await rig.adapter() for _ in range(2)]
    adapters[0].obeys = False
    view = await ended(rig, await rig.act("echo", "restart"))
    assert (view["state"], steps(view)) == ("failed", ["failed", "failed"])
    assert adapters[1].actions == []


async def test_one_that_leaves_for_good_does_not_come_back(rig: ManagerRig) -> None:
    """A restart during a stop changes nothing at the adapter, and is not waited for."""
    adapter = await rig.adapter()
    await rig.act("echo", "stop", instanceId=adapter.instance_id)
    view = await ended(rig, await rig.act("echo", "restart"))
    assert (view["state"], view["instances"][0]["error"]["code"]) == ("failed", "stopping")


async def test_a_second_restart_joins_the_first(rig: ManagerRig) -> None:
    """Nobody is restarted twice."""
    adapters = [await rig.adapter() for _ in range(2)]
    first = await rig.act("echo", "restart")
    second = await rig.act("echo", "restart")
    assert second.status_code == 202
    assert first.json()["actionId"] == second.json()["actionId"]
    for adapter in adapters:
        await told(rig, adapter)
        await rig.successor(adapter)
    view = await ended(rig, first)
    assert (view["state"], len(view["instances"])) == ("succeeded", 2)


async def test_a_joined_restart_takes_in_what_it_did_not_cover(rig: ManagerRig) -> None:
    """A restart of one instance under way, then one of all."""
    adapters = [await rig.adapter() for _ in range(2)]
    first = await rig.act("echo", "restart", instanceId=adapters[0].instance_id)
    await rig.act("echo", "restart")
    for adapter in adapters:
        await told(rig, adapter)
        await rig.successor(adapter)
    assert len((await ended(rig, first))["instances"]) == 2


@pytest.mark.parametrize("action", ["stop", "pause"])
async def test_a_stop_or_a_pause_ends_a_restart(rig: ManagerRig, action: str) -> None:
    """The last word counts."""
    adapters = [await rig.adapter() for _ in range(2)]
    restart = await rig.act("echo", "restart")
    await rig.act("echo", action)
    view = (await rig.client.get(restart.headers["location"])).json()
    assert (view["state"], steps(view)) == ("failed", ["failed", "failed"])
    assert action in view["instances"][1]["error"]["detail"]
    assert [order["action"] for order in adapters[1].actions] == [action]


async def test_calling_the_drain_off_ends_a_restart(rig: ManagerRig) -> None:
    """The instance goes on as before, and so do the others."""
    adapters = [await rig.adapter() for _ in range(2)]
    restart = await rig.act("echo", "restart")
    answer = await rig.client.delete(f"{ALL}/echo/drain", params={"instanceId": adapters[0].instance_id})
    assert answer.status_code == 200
    view = (await rig.client.get(restart.headers["location"])).json()
    assert (view["state"], view["instances"][0]["error"]["code"]) == ("failed", "not-draining")
    assert adapters[1].actions == []


async def test_a_drain_called_off_at_the_adapter_ends_a_restart_too(rig: ManagerRig) -> None:
    """Its beat says so, and it is asked to be sure."""
    adapter = await rig.adapter()
    restart = await rig.act("echo", "restart")
    adapter.state, adapter.drain = "running", None
    await rig.beat(adapter)
    view = await ended(rig, restart)
    assert view["instances"][0]["error"]["code"] == "not-draining"


async def test_a_late_beat_does_not_call_a_drain_off(rig: ManagerRig) -> None:
    """It was written before the order: the instance itself says that it is stopping."""
    adapter = await rig.adapter()
    ordered = await rig.act("echo", "stop")
    adapter.state = "running"
    await rig.beat(adapter)
    adapter.state = "stopping"
    for _ in range(5):
        await rig.manager.registry.changed("echo", 0.02)
    assert (await rig.client.get(ordered.headers["location"])).json()["state"] == "running"
    await rig.unregister(adapter)
    assert (await ended(rig, ordered))["state"] == "succeeded"
