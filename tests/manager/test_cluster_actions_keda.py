"""Workloads that an autoscaler scales: KEDA is told to leave them alone, or a person is."""

from typing import Any

import pytest

from tests.manager.cluster_rig import DESIRED, KEPT, ClusterRig
from tests.manager.fake_api_server import Reply, Request, failure
from tests.manager.following import ended
from tests.manager.manager_rig import ManagerRig

SCALED_OBJECTS = "/apis/keda.sh/v1alpha1/namespaces/here/scaledobjects"
HPAS = "/apis/autoscaling/v2/namespaces/here/horizontalpodautoscalers"
PAUSED = "autoscaling.keda.sh/paused-replicas"


def scaled_object(cluster: ClusterRig, name: str, target: dict[str, str]) -> None:
    """Let KEDA scale something."""
    cluster.server.store.put(SCALED_OBJECTS, {"metadata": {"name": name}, "spec": {"scaleTargetRef": target}})


def paused(cluster: ClusterRig, name: str = "echo-queue") -> Any:
    """Give what the manager told KEDA."""
    return cluster.server.store.get(SCALED_OBJECTS, name)["metadata"].get("annotations", {}).get(PAUSED)


def refusing(*plurals: str, verb: str = "list") -> Any:
    """Give what forbids this verb on these."""

    def answer(request: Request) -> Reply | None:
        return failure(403, "Forbidden", "no") if request.plural in plurals and request.verb == verb else None

    return answer


async def test_keda_leaves_a_stopped_workload_alone_until_its_start(leader: ManagerRig, cluster: ClusterRig) -> None:
    """It is told before the workload is scaled, else it brings it back; others of its are left as they are."""
    scaled_object(cluster, "other", {"name": "other"})
    scaled_object(cluster, "same-name", {"name": "echo", "kind": "StatefulSet"})
    scaled_object(cluster, "echo-queue", {"name": "echo"})
    await ended(leader, await leader.act("echo", "stop"))
    written = [request.name for request in cluster.server.requests if request.verb == "patch"]
    assert [name for name in written if name != "agent-manager"] == ["echo-queue", "echo"]
    assert (paused(cluster), paused(cluster, "other"), paused(cluster, "same-name")) == ("0", None, None)
    assert cluster.annotations == {DESIRED: "stopped", KEPT: "2"}
    await leader.act("echo", "start")
    assert paused(cluster) is None
    assert cluster.deployment["spec"]["replicas"] == 2


async def test_without_keda_a_plain_autoscaler_rests_by_itself(leader: ManagerRig, cluster: ClusterRig) -> None:
    """Kubernetes suspends it at a count of 0: nothing is asked of it."""

    def no_such_api(request: Request) -> Reply | None:
        return failure(404, "NotFound") if request.plural == "scaledobjects" else None

    cluster.server.answer = no_such_api
    assert (await ended(leader, await leader.act("echo", "stop")))["state"] == "succeeded"
    assert cluster.server.asked("list", "horizontalpodautoscalers") == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"scaledobject.keda.sh/name": "echo-queue"}},
        {"ownerReferences": [{"kind": "ScaledObject", "name": "echo-queue"}]},
    ],
)
async def test_where_keda_may_not_be_told_a_person_is(
    leader: ManagerRig, cluster: ClusterRig, metadata: dict[str, Any]
) -> None:
    """The workload's own autoscaler shows that it is KEDA's; the command to type has its name. Nothing was scaled."""
    target = {"kind": "Deployment", "name": "echo"}
    cluster.server.store.put(HPAS, {"metadata": {"name": "x", **metadata}, "spec": {"scaleTargetRef": target}})
    cluster.server.answer = refusing("scaledobjects")
    for action, typed in (("stop", "=0 --overwrite"), ("start", "-")):
        if action == "start":
            cluster.deploy(0)
            await cluster.all_see(lambda record: record.desired_instances == 0)
        answer = await leader.act("echo", action)
        assert (answer.status_code, answer.json()["code"]) == (409, "autoscaled")
        command = f"kubectl annotate scaledobject echo-queue --namespace here {PAUSED}{typed}"
        assert answer.json()["detail"].endswith(command)
    assert cluster.server.asked("patch", "deployments") == []


async def test_where_keda_may_be_seen_and_not_told_a_person_is(leader: ManagerRig, cluster: ClusterRig) -> None:
    """The right to look is not the right to write."""
    scaled_object(cluster, "echo-queue", {"name": "echo"})
    cluster.server.answer = refusing("scaledobjects", verb="patch")
    answer = await leader.act("echo", "stop")
    assert (answer.status_code, answer.json()["code"]) == (409, "autoscaled")
    assert cluster.deployment["spec"]["replicas"] == 2


@pytest.mark.parametrize("forbidden", [("scaledobjects",), ("scaledobjects", "horizontalpodautoscalers")])
async def test_where_no_trace_of_keda_is_seen_the_workload_is_scaled(
    leader: ManagerRig, cluster: ClusterRig, forbidden: tuple[str, ...]
) -> None:
    """A cluster without KEDA forbids a look at its objects to who has no right: that says nothing."""
    target = {"kind": "Deployment", "name": "echo"}
    cluster.server.store.put(HPAS, {"metadata": {"name": "plain"}, "spec": {"scaleTargetRef": target}})
    cluster.server.answer = refusing(*forbidden)
    assert (await ended(leader, await leader.act("echo", "stop")))["state"] == "succeeded"
    assert cluster.deployment["spec"]["replicas"] == 0


@pytest.mark.parametrize("plural", ["scaledobjects", "horizontalpodautoscalers"])
async def test_an_api_server_that_fails_is_not_taken_for_one_without_keda(
    leader: ManagerRig, cluster: ClusterRig, plural: str
) -> None:
    """Nothing is scaled that KEDA might bring back."""

    def fails(request: Request) -> Reply | None:
        if request.plural == plural:
            return failure(500, "InternalError")
        return failure(403, "Forbidden") if request.plural == "scaledobjects" else None

    cluster.server.answer = fails
    answer = await leader.act("echo", "stop")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert cluster.deployment["spec"]["replicas"] == 2
