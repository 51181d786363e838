"""What is asked live of instances: status, info, drain, logs; and what is followed."""

from typing import Any

import msgspec
import pytest
from agent_contract.wire import Drain

from tests.manager.fake_adapter import FakeAdapter
from tests.manager.manager_rig import ALL, ManagerRig

ONE = f"{ALL}/echo"


async def test_every_instance_says_how_it_is(rig: ManagerRig) -> None:
    """Live, each with its id; one that cannot be reached has an error in the place of it."""
    adapters = [await rig.adapter() for _ in range(2)]
    adapters[1].state = "paused"
    gone = await rig.adapter()
    await gone.stop()
    found = (await rig.get(f"{ONE}/status"))["instances"]
    assert [one["instanceId"] for one in found] == [one.instance_id for one in (*adapters, gone)]
    assert [one.get("status") for one in found] == ["running", "paused", None]
    assert found[2]["error"]["code"] == "unavailable"
    assert "cannot connect" in found[2]["error"]["detail"]


async def test_every_instance_says_what_it_is(rig: ManagerRig) -> None:
    """What `/info` of each says."""
    await rig.adapter()
    (found,) = (await rig.get(f"{ONE}/info"))["instances"]
    assert (found["id"], found["version"]) == ("echo", "1.0")


async def test_an_instance_that_hangs_holds_nobody_up(rig: ManagerRig) -> None:
    """Two seconds, here a tenth of one; the others are asked at the same time."""
    rig.manager.queries._live._answer_seconds = 0.1
    silent, other = await rig.adapter(), await rig.adapter()
    silent.silent = True
    found = (await rig.get(f"{ONE}/status"))["instances"]
    assert "error" in found[0]
    assert found[1]["instanceId"] == other.instance_id
    assert "error" not in found[1]


# --- drains ---


async def draining(rig: ManagerRig) -> FakeAdapter:
    """Give an instance that drains."""
    adapter = await rig.adapter()
    adapter.state = "stopping"
    adapter.drain = Drain(reason="stop", safe_to_delete=False, blockers=[])
    await rig.beat(adapter)
    return adapter


async def test_every_drain_is_shown(rig: ManagerRig) -> None:
    """Of all instances, or of one."""
    adapters = [await draining(rig), await rig.adapter()]
    found = (await rig.get(f"{ONE}/drain"))["instances"]
    assert [one["reason"] for one in found] == ["stop", None]
    (one,) = (await rig.get(f"{ONE}/drain", instanceId=adapters[0].instance_id))["instances"]
    assert (one["instanceId"], one["safeToDelete"]) == (adapters[0].instance_id, False)


async def test_a_drain_is_given_more_time(rig: ManagerRig) -> None:
    """Where one is under way; the others are not asked about."""
    adapter, _ = await draining(rig), await rig.adapter()
    answer = await rig.client.patch(f"{ONE}/drain", json={"timeoutSeconds": 90})
    assert answer.status_code == 200
    (found,) = answer.json()["instances"]
    assert (found["instanceId"], found["drain"]["reason"]) == (adapter.instance_id, "stop")
    assert "error" not in found
    assert adapter.drained == [("PATCH", 90.0)]


async def test_a_drain_that_cannot_be_moved_says_why(rig: ManagerRig) -> None:
    """The instance's own problem, with its members."""
    await draining(rig)
    answer = await rig.client.patch(f"{ONE}/drain", json={"timeoutSeconds": 2000})
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["maxTimeoutSeconds"]) == (409, "over-grace", 1000)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_there_must_be_a_drain_to_steer(rig: ManagerRig, method: str) -> None:
    """409 when no instance has one."""
    await rig.adapter()
    answer = await rig.client.request(method, f"{ONE}/drain", json={"timeoutSeconds": 1})
    assert (answer.status_code, answer.json()["code"]) == (409, "not-draining")


async def test_a_drain_is_called_off(rig: ManagerRig) -> None:
    """The instance goes on, the listing shows it at once, and the stop is no longer what was ordered."""
    adapter = await rig.adapter()
    await rig.act("echo", "stop")
    answer = await rig.client.delete(f"{ONE}/drain")
    assert answer.status_code == 200
    assert answer.json()["instances"][0]["drain"]["reason"] is None
    listed = await rig.listed()
    assert (listed["state"], listed["desiredState"]) == ("running", "running")
    assert (await rig.execute()).status_code == 200
    assert adapter.drained == [("DELETE", None)]


async def test_only_the_named_instance_is_steered(rig: ManagerRig) -> None:
    """One of two that drain; the agent's desired state stays."""
    adapters = [await rig.adapter() for _ in range(2)]
    await rig.act("echo", "stop")
    await rig.client.delete(f"{ONE}/drain", params={"instanceId": adapters[1].instance_id})
    assert [adapter.state for adapter in adapters] == ["stopping", "running"]
    assert (await rig.listed())["desiredState"] == "stopped"


async def test_steering_is_in_the_journal(rig: ManagerRig) -> None:
    """Who moved which drain, and who called it off."""
    await draining(rig)
    await rig.client.patch(f"{ONE}/drain", json={"timeoutSeconds": 90})
    await rig.client.delete(f"{ONE}/drain")
    frames = b"".join(rig.manager.journal._frames)
    assert b"event: drain\n" in frames
    assert b'"code":"drain-moved"' in frames
    assert b'"code":"drain-called-off"' in frames


@pytest.mark.parametrize("body", [{}, {"timeoutSeconds": -1}, {"timeoutSeconds": "x"}, {"timeoutSeconds": 1, "x": 1}])
async def test_a_bad_patch_is_refused(rig: ManagerRig, body: Any) -> None:
    """With the field, before anybody is asked."""
    adapter = await draining(rig)
    answer = await rig.client.patch(f"{ONE}/drain", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
    assert answer.json()["field"] in ("timeoutSeconds", "x")
    assert adapter.drained == []


# --- the rest of the fleet ---


async def test_the_listing_is_sent_and_then_each_change(rig: ManagerRig) -> None:
    """A registration is in the next event."""
    async with rig.events(f"{ALL}?watch=true") as changes:
        first = await anext(changes)
        adapter = await rig.adapter()
        second = await anext(changes)
    assert (first.event, msgspec.json.decode(first.data)["agents"]) == ("listing", [])
    assert second.event == "agent"
    assert msgspec.json.decode(second.data)["agent"]["instances"][0]["instanceId"] == adapter.instance_id


async def test_events_are_sent_and_resumed(rig: ManagerRig) -> None:
    """From the one that the reader had last."""
    async with rig.events("/api/events") as happened:
        await rig.manager.registry.changed("nobody", 0.05)
        await rig.adapter()
        first = await anext(happened)
    await rig.adapter("other")
    assert first.id is not None
    async with rig.events("/api/events", last_event_id=first.id) as happened:
        second = await anext(happened)
    assert msgspec.json.decode(first.data)["agent"] == "echo"
    assert msgspec.json.decode(second.data)["agent"] == "other"
    async with rig.events("/api/events", last_event_id="of-another-manager") as happened:
        assert (await anext(happened)).event == "reset"


async def test_streams_end_when_the_manager_leaves(rig: ManagerRig) -> None:
    """In order: their readers see an end, not a break."""
    await rig.adapter()
    async with rig.events(f"{ALL}?watch=true") as changes, rig.events(f"{ONE}/logs?follow=true") as lines:
        await anext(changes)
        await anext(lines)
        rig.manager.readiness.leaving.set()
        assert [event async for event in changes] == []
        assert [event async for event in lines if "line 0" in event.data] == []


async def test_one_agent_is_given_as_it_is_listed(rig: ManagerRig) -> None:
    """The same members."""
    await rig.adapter()
    assert (await rig.get(ONE)) == (await rig.get(ALL))["agents"][0]


async def test_instances_are_given_to_prometheus(rig: ManagerRig) -> None:
    """HTTP service discovery."""
    adapter = await rig.adapter()
    assert await rig.get("/api/prometheus/targets") == [
        {
            "targets": [f"127.0.0.1:{adapter.port}"],
            "labels": {"agent": "echo", "instance_id": adapter.instance_id},
        }
    ]
