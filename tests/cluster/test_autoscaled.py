"""Stop and start of workloads that somebody else scales, and a node that is emptied."""

import asyncio

import pytest

from tests.cluster.cluster import Namespace, in_thread, run
from tests.cluster.manifests import container, workload
from tests.cluster.test_pauses import act
from tests.system.manager_client import ManagerClient

pytestmark = [pytest.mark.full, pytest.mark.cluster, pytest.mark.timeout(300)]

PAUSED_REPLICAS = "autoscaling.keda.sh/paused-replicas"
SLEEPER = {"containers": [container(["sleep", "600"])]}
SCALED_OBJECTS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "scaledobjects.keda.sh"},
    "spec": {
        "group": "keda.sh",
        "scope": "Namespaced",
        "names": {"plural": "scaledobjects", "singular": "scaledobject", "kind": "ScaledObject"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        ],
    },
}


async def listed(client: ManagerClient, agent: str, state: str, desired: int) -> None:
    """Wait until an agent is listed so."""

    async def so() -> bool:
        found = await client.http.get(f"/api/agent-services/{agent}")
        if found.status_code != 200:
            return False
        said = found.json()
        return bool((said["state"], said["desiredInstances"]) == (state, desired))

    await client.until(so, f"{agent} is {state} with {desired}", 60)


async def test_a_horizontal_autoscaler_leaves_a_stopped_workload_alone(
    client: ManagerClient, release: Namespace
) -> None:
    """With 0 replicas it is suspended, as Kubernetes has it, and start puts it to work again."""
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "elastic"}
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "elastic"},
        "spec": {"minReplicas": 2, "maxReplicas": 3, "scaleTargetRef": reference},
    }
    release.apply(workload("elastic", SLEEPER, replicas=2), autoscaler)
    await listed(client, "elastic", "starting", 2)
    assert (await act(client, "elastic", "stop")).startswith("succeeded")
    await listed(client, "elastic", "stopped", 0)

    async def suspended() -> bool:
        (found,) = release.get("horizontalpodautoscalers")
        return any(one.get("reason") == "ScalingDisabled" for one in found.get("status", {}).get("conditions", []))

    await client.until(suspended, "the autoscaler says that scaling is disabled", 60)
    await client.http.post("/api/agent-services/elastic/action", json={"action": "start"})
    await listed(client, "elastic", "starting", 2)
    release.kubectl("delete", "horizontalpodautoscaler/elastic", "deployment/elastic", "--wait=false")


async def test_a_workload_of_keda_is_stopped_through_keda(client: ManagerClient, release: Namespace) -> None:
    """KEDA would scale it up again: its own annotation holds it at 0 until the start takes it away."""
    await in_thread(release.install, "--set", "rbac.keda=true")
    release.apply(SCALED_OBJECTS)
    await in_thread(run, "kubectl", "wait", "--for=condition=Established", "crd/scaledobjects.keda.sh")
    scaled = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "queue"},
        "spec": {"scaleTargetRef": {"name": "queued"}},
    }
    release.apply(workload("queued", SLEEPER), scaled)
    await listed(client, "queued", "starting", 1)

    def held() -> str | None:
        (found,) = release.get("scaledobjects.keda.sh")
        value: str | None = found["metadata"].get("annotations", {}).get(PAUSED_REPLICAS)
        return value

    assert (await act(client, "queued", "stop")).startswith("succeeded")
    await listed(client, "queued", "stopped", 0)
    assert held() == "0"
    await client.http.post("/api/agent-services/queued/action", json={"action": "start"})
    await listed(client, "queued", "starting", 1)
    assert held() is None
    release.kubectl("delete", "scaledobjects.keda.sh/queue", "deployment/queued", "--wait=false")
    run("kubectl", "delete", "crd", "scaledobjects.keda.sh", "--wait=false")


async def test_a_node_is_emptied_of_agents_one_at_a_time_and_nothing_is_cut(
    client: ManagerClient, release: Namespace
) -> None:
    """`kubectl drain` heeds the PodDisruptionBudget: one executor drains, and the other waits for its successor."""
    nodes = [node["metadata"]["name"] for node in release.get("nodes")]
    if len(nodes) != 1:
        pytest.skip(f"counts what happens on the only node, and this cluster has {len(nodes)}")
    cut = await client.metric("agent_manager_drain_tasks_cut_total", agent="executor")
    tasks = [asyncio.create_task(client.steps({"wait": 3})) for _ in range(2)]
    drain = ("drain", nodes[0], "--pod-selector", "agent-orchestration.dev/agent=executor", "--delete-emptydir-data")
    said = await in_thread(run, "kubectl", *drain, "--timeout", "15s", check=False)
    try:
        assert "violate the pod's disruption budget" in said.stderr + said.stdout
    finally:
        await in_thread(run, "kubectl", "uncordon", nodes[0])
    assert [(await task).status_code for task in tasks] == [200, 200]
    await client.until_running("executor", 2)
    assert await client.metric("agent_manager_drain_tasks_cut_total", agent="executor") == cut


async def test_a_paused_agent_does_not_hold_up_the_draining_of_its_node(
    client: ManagerClient, release: Namespace
) -> None:
    """A paused pod is not ready, and a budget that counted it would forbid the eviction for ever: AlwaysAllow."""
    (node,) = [node["metadata"]["name"] for node in release.get("nodes")][:1]
    assert (await act(client, "retriever", "pause")).startswith("succeeded")
    (pod,) = release.pods("retriever")
    drain = ("drain", node, "--pod-selector", "agent-orchestration.dev/agent=retriever", "--delete-emptydir-data")
    try:
        await in_thread(run, "kubectl", *drain, "--timeout", "60s")
    finally:
        await in_thread(run, "kubectl", "uncordon", node)
    assert (await act(client, "retriever", "resume")).startswith("succeeded")
    await client.until_running("retriever", 1)
    assert pod["metadata"]["uid"] not in {one["metadata"]["uid"] for one in release.pods("retriever")}
