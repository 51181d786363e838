"""An agent with several workloads: an order is for all of them."""

from typing import Any

from tests.manager.api_objects import DEPLOYMENTS, STATEFUL_SETS
from tests.manager.cluster_rig import DESIRED, KEPT, ClusterRig
from tests.manager.fake_api_server import Reply, Request, failure
from tests.manager.following import ended
from tests.manager.manager_rig import ManagerRig

LABELS = {"agent-orchestration.dev/agent": "echo"}


async def second(cluster: ClusterRig, replicas: int, collection: str = DEPLOYMENTS, **annotations: str) -> None:
    """Let there be another one."""
    metadata = {"name": "echo-b", "labels": LABELS, "annotations": annotations}
    cluster.server.store.put(collection, {"metadata": metadata, "spec": {"replicas": replicas}})
    await cluster.all_see(lambda record: len(record.workloads) == 2)


def of(cluster: ClusterRig, name: str = "echo-b", collection: str = DEPLOYMENTS) -> tuple[int, Any]:
    """Give a workload's count, and what is written on it."""
    thing = cluster.server.store.get(collection, name)
    return thing["spec"]["replicas"], thing["metadata"].get("annotations")


async def test_a_stop_is_of_all_and_a_start_of_what_it_stopped(leader: ManagerRig, cluster: ClusterRig) -> None:
    """Each keeps its own count, also a StatefulSet."""
    await second(cluster, 3, STATEFUL_SETS)
    assert (await ended(leader, await leader.act("echo", "stop")))["state"] == "succeeded"
    assert of(cluster, "echo") == (0, {DESIRED: "stopped", KEPT: "2"})
    assert of(cluster, collection=STATEFUL_SETS) == (0, {DESIRED: "stopped", KEPT: "3"})
    await leader.act("echo", "start")
    assert of(cluster, "echo") == (2, {DESIRED: "running"})
    assert of(cluster, collection=STATEFUL_SETS) == (3, {DESIRED: "running"})


async def test_a_start_leaves_alone_what_somebody_else_scaled_down(leader: ManagerRig, cluster: ClusterRig) -> None:
    """A green one beside a blue one: only what a stop took down comes back, and what is up is enough."""
    await second(cluster, 0)
    assert (await ended(leader, await leader.act("echo", "start")))["instances"] == []
    assert of(cluster) == (0, {})
    await ended(leader, await leader.act("echo", "stop"))
    await leader.act("echo", "start")
    assert (of(cluster, "echo")[0], of(cluster)) == (2, (0, {DESIRED: "running"}))


async def test_a_start_of_an_agent_without_any_pod_is_of_all(leader: ManagerRig, cluster: ClusterRig) -> None:
    """Nobody says which one is meant."""
    cluster.deploy(0)
    await second(cluster, 0)
    await cluster.all_see(lambda record: record.desired_instances == 0)
    await leader.act("echo", "start")
    assert (of(cluster, "echo")[0], of(cluster)[0]) == (1, 1)


async def test_an_order_that_is_refused_in_the_middle_can_be_given_again(
    leader: ManagerRig, cluster: ClusterRig
) -> None:
    """What was written stays, and is the same the second time; no action is there for what was refused."""
    await second(cluster, 3)

    def refuse(request: Request) -> Reply | None:
        denied = request.verb == "patch" and request.name == "echo-b"
        return failure(500, "InternalError") if denied else None

    cluster.server.answer = refuse
    assert (await leader.act("echo", "stop")).status_code == 503
    assert (await leader.get("/api/agent-services/echo/actions"))["actions"] == []
    cluster.server.answer = lambda _: None
    assert (await leader.act("echo", "stop")).status_code == 202
    assert (of(cluster, "echo")[1][KEPT], of(cluster)[1][KEPT]) == ("2", "3")


async def test_a_drain_is_told_on_the_workload_whose_pod_it_was(leader: ManagerRig, cluster: ClusterRig) -> None:
    """By the names that Kubernetes gives: the longest that fits."""
    await second(cluster, 1)
    await cluster.pods("echo-b-1")
    cluster.end("echo-b-1")
    await cluster.all_see(lambda record: record.state == "stopping")
    await cluster.gone("echo-b-1")
    await cluster.server.until(lambda: len(cluster.events()) == 2)
    assert {event["regarding"]["name"] for event in cluster.events()} == {"echo-b-1", "echo-b"}
    assert leader.manager.registry.instances == {}
