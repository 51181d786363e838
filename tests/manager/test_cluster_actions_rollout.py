"""Restarts by rollout: the platform replaces the pods, and the action follows it."""

from typing import Any

import pytest

from tests.manager.cluster_rig import DESIRED, ClusterRig
from tests.manager.following import ended, steps, until_steps
from tests.manager.manager_rig import ManagerRig

RESTARTED = "kubectl.kubernetes.io/restartedAt"


async def roll_out(leader: ManagerRig) -> Any:
    """Order a rollout."""
    ordered = await leader.act("echo", "restart", strategy="rollout")
    assert ordered.status_code == 202, ordered.text
    return ordered


async def test_a_rollout_is_followed_from_pod_to_pod(leader: ManagerRig, cluster: ClusterRig) -> None:
    """What kubectl writes is written; each step names who came, and it ends when the controller has and all run."""
    old = await cluster.pods("echo-1", "echo-2")
    ordered = await roll_out(leader)
    template = cluster.deployment["spec"]["template"]
    assert template["metadata"]["annotations"][RESTARTED].endswith("Z")
    (request,) = cluster.server.asked("patch", "deployments")
    assert request.headers["content-type"] == "application/strategic-merge-patch+json"
    cluster.settle(rolled_out=False)
    new = [await cluster.pod("echo-3")]
    cluster.end("echo-1")
    await until_steps(leader, ordered, "draining", "waiting")
    await cluster.gone("echo-1")
    new.append(await cluster.pod("echo-4"))
    cluster.end("echo-2")
    await cluster.gone("echo-2")
    await until_steps(leader, ordered, "done", "done")
    cluster.settle()
    view = await ended(leader, ordered)
    assert (view["state"], steps(view)) == ("succeeded", ["done", "done"])
    assert {step["successor"] for step in view["instances"]} == {one.instance_id for one in new}
    assert [one.actions for one in (*old, *new)] == [[], [], [], []]
    assert leader.desired() == "running"


async def test_it_waits_until_the_new_ones_run(leader: ManagerRig, cluster: ClusterRig) -> None:
    """A controller that is content does not know whether the agent is."""
    cluster.deploy(1)
    await cluster.all_see(lambda record: record.desired_instances == 1)
    await cluster.pods("echo-1")
    ordered = await roll_out(leader)
    new = await cluster.pod("echo-2", status="starting")
    cluster.end("echo-1")
    await cluster.gone("echo-1")
    cluster.settle()
    await leader.until(lambda: not cluster.record(leader).waiting_workload)
    assert (await leader.client.get(ordered.headers["location"])).json()["state"] == "running"
    new.state = "running"
    await leader.beat(new)
    assert (await ended(leader, ordered))["state"] == "succeeded"


async def test_a_pod_of_the_same_name_is_the_successor(leader: ManagerRig, cluster: ClusterRig) -> None:
    """A StatefulSet's pods keep their names, in whatever order they come back."""
    await cluster.pods("echo-0", "echo-1")
    ordered = await roll_out(leader)
    for name in ("echo-1", "echo-0"):
        cluster.end(name)
        await cluster.gone(name)
    new = {name: (await cluster.pod(name)).instance_id for name in ("echo-0", "echo-1")}
    cluster.settle()
    view = await ended(leader, ordered)
    assert [step["successor"] for step in view["instances"]] == [new["echo-0"], new["echo-1"]]


async def test_a_rollout_of_a_paused_agent_waits_and_says_so(leader: ManagerRig, cluster: ClusterRig) -> None:
    """Its new pods are paused, so never ready: without progress it fails, and the error says what to do."""
    cluster.deploy(1)
    thing = cluster.deployment
    thing["spec"]["progressDeadlineSeconds"] = 0
    cluster.server.store.put("/apis/apps/v1/namespaces/here/deployments", thing)
    await cluster.pods("echo-1", status="paused")
    await ended(leader, await leader.act("echo", "pause"))
    assert cluster.annotations[DESIRED] == "paused"
    ordered = await roll_out(leader)
    cluster.settle(rolled_out=False)
    view = await ended(leader, ordered)
    assert (view["state"], steps(view)) == ("failed", ["failed"])
    assert "the rollout made no progress within 0 s" in view["instances"][0]["error"]["detail"]


async def test_a_workload_that_is_deleted_ends_its_rollout(leader: ManagerRig, cluster: ClusterRig) -> None:
    """It is said so."""
    await cluster.pods("echo-1")
    ordered = await roll_out(leader)
    cluster.server.store.delete("/apis/apps/v1/namespaces/here/deployments", "echo")
    view = await ended(leader, ordered)
    assert (view["state"], "was deleted" in view["instances"][0]["error"]["detail"]) == ("failed", True)


@pytest.mark.parametrize(
    ("spec", "command"),
    [
        ({"paused": True}, "kubectl rollout resume deployment/echo --namespace here"),
        ({"updateStrategy": {"type": "OnDelete"}}, "kubectl delete pod --namespace here POD"),
    ],
)
async def test_a_workload_that_does_not_roll_is_refused(
    leader: ManagerRig, cluster: ClusterRig, spec: dict[str, Any], command: str
) -> None:
    """It would never end: what to type is said instead."""
    cluster.server.store.patch("/apis/apps/v1/namespaces/here/deployments", "echo", {"spec": spec})
    answer = await leader.act("echo", "restart", strategy="rollout")
    assert (answer.status_code, answer.json()["code"]) == (409, "not-supported")
    assert command in answer.json()["detail"]
    assert cluster.server.asked("patch", "deployments") == []


async def test_a_rollout_of_nothing_is_refused(leader: ManagerRig, cluster: ClusterRig) -> None:
    """It is stopped: there is nothing to replace."""
    cluster.deploy(0)
    await cluster.all_see(lambda record: record.desired_instances == 0)
    answer = await leader.act("echo", "restart", strategy="rollout")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


async def test_pods_in_which_nobody_is_known_can_be_rolled_out(leader: ManagerRig, cluster: ClusterRig) -> None:
    """A new template is what gets them out of their trouble."""
    cluster.deploy(1)
    cluster.bare_pod("echo-1")
    await cluster.all_see(lambda record: bool(record.bare_pods) and record.desired_instances == 1)
    ordered = await roll_out(leader)
    await cluster.gone("echo-1")
    new = await cluster.pod("echo-2")
    cluster.settle()
    view = await ended(leader, ordered)
    assert [step["successor"] for step in view["instances"]] == [new.instance_id]


async def test_a_rollout_ends_a_restart_in_place_and_takes_in_the_next(leader: ManagerRig, cluster: ClusterRig) -> None:
    """It replaces every process, so that a restart in place has nothing left to do."""
    await cluster.pods("echo-1", "echo-2")
    in_place = await leader.act("echo", "restart")
    rollout = await roll_out(leader)
    view = (await leader.client.get(in_place.headers["location"])).json()
    assert (view["state"], steps(view)) == ("failed", ["failed", "failed"])
    for facts in ({}, {"strategy": "rollout"}):
        again = await leader.act("echo", "restart", **facts)
        assert again.json()["actionId"] == rollout.json()["actionId"]
    assert len(cluster.server.asked("patch", "deployments")) == 1


@pytest.mark.parametrize("action", ["stop", "pause"])
async def test_a_stop_or_a_pause_ends_it(leader: ManagerRig, cluster: ClusterRig, action: str) -> None:
    """The last word counts; what the platform has begun goes on there."""
    await cluster.pods("echo-1")
    ordered = await roll_out(leader)
    await leader.act("echo", action)
    view = (await leader.client.get(ordered.headers["location"])).json()
    assert (view["state"], action in view["instances"][0]["error"]["detail"]) == ("failed", True)
