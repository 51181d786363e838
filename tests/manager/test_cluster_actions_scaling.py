"""Stop and start by scale: what is kept on the workload, and when they have ended."""

import pytest
from agent_contract.wire import Drain

from tests.manager.cluster_rig import DESIRED, KEPT, ClusterRig
from tests.manager.fake_adapter import FakeAdapter
from tests.manager.fake_api_server import Reply, Request
from tests.manager.following import ended, steps, until_steps
from tests.manager.manager_rig import ManagerRig


async def test_a_stop_scales_to_nothing_and_keeps_the_count(leader: ManagerRig, cluster: ClusterRig) -> None:
    """In one patch; nobody is told by the manager, for the kubelet does that. It ends when the last pod is gone."""
    adapters = await cluster.pods("echo-1", "echo-2")
    cluster.bare_pod("echo-3")
    await cluster.all_see(lambda record: bool(record.bare_pods))
    ordered = await leader.act("echo", "stop")
    assert [one["state"] for one in ordered.json()["instances"]] == ["running", "running", "starting"]
    assert len(cluster.server.asked("patch", "deployments")) == 1
    assert cluster.deployment["spec"]["replicas"] == 0
    assert cluster.annotations == {DESIRED: "stopped", KEPT: "2"}
    assert leader.desired() == "stopped"
    for name in ("echo-1", "echo-2", "echo-3"):
        cluster.end(name)
    await until_steps(leader, ordered, *["draining"] * 3)
    for name in ("echo-1", "echo-2", "echo-3"):
        await cluster.gone(name)
    cluster.settle()
    view = await ended(leader, ordered)
    assert (view["state"], steps(view)) == ("succeeded", ["done"] * 3)
    assert [adapter.actions for adapter in adapters] == [[], []]
    listed = await leader.listed()
    assert (listed["state"], listed["desiredState"], listed["desiredInstances"]) == ("stopped", "stopped", 0)


async def test_a_stop_of_a_stopped_agent_keeps_the_count_that_was_kept(leader: ManagerRig, cluster: ClusterRig) -> None:
    """Twice is as once."""
    await ended(leader, await leader.act("echo", "stop"))
    cluster.settle()
    await ended(leader, await leader.act("echo", "stop"))
    assert cluster.annotations[KEPT] == "2"


async def test_a_stop_of_a_pod_whose_last_word_did_not_come_fails(leader: ManagerRig, cluster: ClusterRig) -> None:
    """What it had in hand may be lost."""
    await cluster.pods("echo-1")
    ordered = await leader.act("echo", "stop")
    cluster.end("echo-1")
    await cluster.gone("echo-1", said=False)
    view = await ended(leader, ordered)
    assert (view["state"], view["instances"][0]["error"]["code"]) == ("failed", "unavailable")
    assert "lost" in view["instances"][0]["error"]["detail"]


async def test_a_stop_tells_an_instance_from_elsewhere_itself(leader: ManagerRig, cluster: ClusterRig) -> None:
    """No pod of it will go: it is one of the agent all the same."""
    await cluster.pods("echo-1")
    outsider = await leader.adapter("echo")
    ordered = await leader.act("echo", "stop")
    assert outsider.actions == [{"action": "stop"}]
    await leader.unregister(outsider)
    cluster.end("echo-1")
    await cluster.gone("echo-1")
    assert (await ended(leader, ordered))["state"] == "succeeded"


def drains(adapter: FakeAdapter) -> None:
    """Let an adapter have got SIGTERM."""
    adapter.state, adapter.drain = "stopping", Drain(reason="signal", safe_to_delete=False, blockers=[])


@pytest.mark.parametrize(("seconds", "over_grace"), [(7.0, False), (5000.0, True)])
async def test_the_time_of_a_stop_is_given_to_the_drain_once_it_is_there(
    leader: ManagerRig, cluster: ClusterRig, seconds: float, over_grace: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signal brings none with it. A longer one than the pod's grace is refused by the adapter: the log says so."""
    (adapter,) = await cluster.pods("echo-1")
    ordered = await leader.act("echo", "stop", timeoutSeconds=seconds)
    cluster.end("echo-1")
    await cluster.all_see(lambda record: any(pod.leaving for pod in record.pods.values()))
    assert adapter.drained == []
    drains(adapter)
    drain = {"reason": "signal", "safeToDelete": False, "blockers": []}
    body = {"id": "echo", "instanceId": adapter.instance_id, "status": "stopping", "drain": drain}
    assert (await leader.client.post("/api/agent-services/heartbeat", json=body)).status_code == 200
    await leader.until(lambda: bool(adapter.drained))
    await cluster.gone("echo-1")
    assert (await ended(leader, ordered))["state"] == "succeeded"
    assert adapter.drained == [("PATCH", seconds)]
    assert ("cannot set the time of a drain" in capsys.readouterr().out) is over_grace


async def test_a_stop_that_somebody_scales_up_again_fails(leader: ManagerRig, cluster: ClusterRig) -> None:
    """Its pods stay, and it says why."""
    await cluster.pods("echo-1")
    ordered = await leader.act("echo", "stop")
    cluster.deploy(3, **cluster.annotations)
    view = await ended(leader, ordered)
    assert view["state"] == "failed"
    assert "scaled to 3" in view["instances"][0]["error"]["detail"]


async def test_a_stop_of_a_pod_that_does_not_go_fails(
    leader: ManagerRig, cluster: ClusterRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its node is away: after ten minutes, here at once, a person should look."""
    monkeypatch.setattr("agent_manager.actions.in_kubernetes.PATIENCE_SECONDS", 0.0)
    cluster.bare_pod("echo-1")
    await cluster.all_see(lambda record: bool(record.bare_pods))
    view = await ended(leader, await leader.act("echo", "stop"))
    assert view["state"] == "failed"
    assert "its pod did not go within 0 s (image-pull" in view["instances"][0]["error"]["detail"]


async def test_a_start_scales_back_and_ends_when_all_run(leader: ManagerRig, cluster: ClusterRig) -> None:
    """As many as were there before, and nothing is left of the stop on the workload."""
    cluster.deploy(0, **{DESIRED: "stopped", KEPT: "2"})
    await leader.until(lambda: leader.desired() == "stopped")
    ordered = await leader.act("echo", "start")
    assert ordered.json()["instances"] == []
    assert cluster.deployment["spec"]["replicas"] == 2
    assert cluster.annotations == {DESIRED: "running"}
    assert leader.desired() == "running"
    cluster.settle()
    first = await cluster.pod("echo-1", status="starting")
    second = await cluster.pod("echo-2")
    view = await until_steps(leader, ordered, "done", "waiting")
    assert [step["instanceId"] for step in view["instances"]] == [second.instance_id, first.instance_id]
    first.state = "running"
    await leader.beat(first)
    view = await ended(leader, ordered)
    assert view["state"] == "succeeded"
    assert {step["instanceId"] for step in view["instances"]} == {first.instance_id, second.instance_id}
    assert set(steps(view)) == {"done"}


@pytest.mark.parametrize("kept", [None, "0", "-1", "many", "9" * 30])
async def test_a_start_without_a_sound_count_is_of_one(
    leader: ManagerRig, cluster: ClusterRig, kept: str | None
) -> None:
    """Somebody scaled it down by hand, or wrote something else there."""
    cluster.deploy(0, **({} if kept is None else {KEPT: kept}))
    await cluster.all_see(lambda record: record.desired_instances == 0)
    ordered = await leader.act("echo", "start")
    assert cluster.deployment["spec"]["replicas"] == 1
    await cluster.pod("echo-1")
    assert (await ended(leader, ordered))["state"] == "succeeded"


async def test_a_start_of_what_is_up_changes_nothing(leader: ManagerRig, cluster: ClusterRig) -> None:
    """It has succeeded at once, also where the agent is paused."""
    await cluster.pods("echo-1")
    await ended(leader, await leader.act("echo", "pause"))
    version = cluster.deployment["metadata"]["resourceVersion"]
    view = await ended(leader, await leader.act("echo", "start"))
    assert (view["state"], view["instances"]) == ("succeeded", [])
    assert cluster.deployment["metadata"]["resourceVersion"] == version
    assert leader.desired() == "paused"


async def test_a_start_that_does_not_come_up_says_what_is_wrong(
    leader: ManagerRig, cluster: ClusterRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ten minutes, here a fifth of a second: an image that is not there."""
    monkeypatch.setattr("agent_manager.actions.in_kubernetes.PATIENCE_SECONDS", 0.2)
    cluster.deploy(0)
    await cluster.all_see(lambda record: record.desired_instances == 0)
    ordered = await leader.act("echo", "start")
    cluster.bare_pod("echo-1")
    view = await ended(leader, ordered)
    assert view["state"] == "failed"
    assert "1 of the instances asked for did not run" in view["instances"][0]["error"]["detail"]
    assert "no such image" in view["instances"][0]["error"]["detail"]


async def test_a_start_of_which_no_pod_comes_fails_under_the_workload_s_name(
    leader: ManagerRig, cluster: ClusterRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota forbids it, say: there is no instance under which it could stand."""
    monkeypatch.setattr("agent_manager.actions.in_kubernetes.PATIENCE_SECONDS", 0.0)
    cluster.deploy(0)
    await cluster.all_see(lambda record: record.desired_instances == 0)
    view = await ended(leader, await leader.act("echo", "start"))
    assert (view["state"], view["instances"][0]["instanceId"]) == ("failed", "deployment/echo")


async def test_a_start_that_somebody_scales_down_again_fails(leader: ManagerRig, cluster: ClusterRig) -> None:
    """An autoscaler, or a person: it will not come up."""
    cluster.deploy(0)
    await cluster.all_see(lambda record: record.desired_instances == 0)
    ordered = await leader.act("echo", "start")
    cluster.deploy(0)
    view = await ended(leader, ordered)
    assert view["state"] == "failed"
    assert "scaled to 0" in view["instances"][0]["error"]["detail"]


async def test_an_autoscaler_may_ask_for_fewer_while_it_starts(leader: ManagerRig, cluster: ClusterRig) -> None:
    """It is up when what is asked for by then runs."""
    cluster.deploy(0, **{KEPT: "5"})
    await cluster.all_see(lambda record: record.desired_instances == 0)
    ordered = await leader.act("echo", "start")
    await cluster.pod("echo-1")
    cluster.deploy(1)
    assert (await ended(leader, ordered))["state"] == "succeeded"


async def test_a_stop_ends_a_start_and_a_start_a_stop(leader: ManagerRig, cluster: ClusterRig) -> None:
    """The last word counts; a second start joins the first."""
    cluster.deploy(0)
    await cluster.all_see(lambda record: record.desired_instances == 0)
    start = await leader.act("echo", "start")
    assert (await leader.act("echo", "start")).json()["actionId"] == start.json()["actionId"]
    await cluster.pod("echo-1")
    other = await leader.act("echo", "restart")
    stop = await leader.act("echo", "stop")
    assert (await ended(leader, other))["state"] == "failed"
    again = await leader.act("echo", "start")
    view = (await leader.client.get(stop.headers["location"])).json()
    assert (view["state"], "a start was ordered" in view["instances"][0]["error"]["detail"]) == ("failed", True)
    assert cluster.deployment["spec"]["replicas"] == 1
    stop = await leader.act("echo", "stop")
    view = await ended(leader, again)
    assert (view["state"], "a stop was ordered" in view["instances"][0]["error"]["detail"]) == ("failed", True)


async def test_a_count_that_changes_while_it_is_stopped_is_the_one_that_is_kept(
    leader: ManagerRig, cluster: ClusterRig
) -> None:
    """An autoscaler scaled between the look and the write: it is looked at again."""
    scaled: list[int] = []

    def autoscale(request: Request) -> Reply | None:
        if request.verb == "patch" and not scaled:
            scaled.append(7)
            cluster.deploy(7)
        return None

    cluster.server.answer = autoscale
    await ended(leader, await leader.act("echo", "stop"))
    assert cluster.annotations[KEPT] == "7"
