"""What an operator orders lasts in a cluster: pause over a rollout, stop and start by scale, a paused agent's node."""

import pytest

from tests.cluster.cluster import Namespace, in_thread
from tests.cluster.test_releases import deployment
from tests.system.manager_client import ManagerClient

pytestmark = [pytest.mark.full, pytest.mark.cluster, pytest.mark.timeout(600)]

ANNOTATION = "agent-orchestration.dev/desired-state"


async def act(client: ManagerClient, agent: str, action: str, **more: object) -> str:
    """Order an action and wait for its end; gives how it ended."""
    ordered = await client.http.post(f"/api/agent-services/{agent}/action", json={"action": action, **more})
    assert ordered.status_code == 202, ordered.text
    said = {"state": "running"}

    async def over() -> bool:
        said.update((await client.http.get(ordered.headers["location"])).json())
        return said["state"] != "running"

    await client.until(over, f"{action} of {agent} has ended", 120)
    return f"{said['state']}: {said}"


def annotations(release: Namespace, agent: str) -> dict[str, str]:
    """Give the annotations of an agent's Deployment."""
    (found,) = release.get("deployments", f"agent-orchestration.dev/agent={agent}")
    kept: dict[str, str] = found["metadata"].get("annotations", {})
    return kept


async def test_a_pause_outlives_the_pods_and_holds_up_a_rollout(client: ManagerClient, release: Namespace) -> None:
    """A pod that comes while its agent is paused is paused; the rollout waits, says so, and ends after a resume."""
    assert (await act(client, "planner", "pause")).startswith("succeeded")
    assert annotations(release, "planner")[ANNOTATION] == "paused"
    old = {one["instanceId"] for one in await client.instances("planner")}
    await in_thread(release.kubectl, "rollout", "restart", deployment(release, "planner"))

    async def waits() -> bool:
        listed = await client.agent("planner")
        fresh = [one for one in listed["instances"] if one["instanceId"] not in old and one["state"] == "paused"]
        return bool(fresh) and (listed["problem"] or {}).get("code") == "rollout-waits"

    await client.until(waits, "the new pod is paused and the listing says that the rollout waits", 60)
    refused = await client.execute("planner", goal="count the words of README.md")
    assert (refused.status_code, refused.json()["code"]) == (409, "paused")
    assert (await act(client, "planner", "resume")).startswith("succeeded")
    await in_thread(release.kubectl, "rollout", "status", deployment(release, "planner"), "--timeout", "120s")
    await client.until_running("planner", 1)
    assert old & {one["instanceId"] for one in await client.instances("planner")} == set()


async def test_stop_scales_to_nothing_and_start_brings_the_old_count_back(
    client: ManagerClient, release: Namespace
) -> None:
    """A stopped agent stays known with no pod, also over an upgrade, and starts with as many as it had."""
    assert (await act(client, "executor", "stop")).startswith("succeeded")
    listed = await client.agent("executor")
    assert (listed["state"], listed["desiredState"], listed["desiredInstances"]) == ("stopped", "stopped", 0)
    assert release.pods("executor") == []
    refused = await client.steps({"calculate": "1 + 1"})
    assert refused.status_code in (409, 503)
    await in_thread(release.install)
    assert release.pods("executor") == []
    assert (await act(client, "executor", "start")).startswith("succeeded")
    await client.until_running("executor", 2)
    assert (await client.agent("executor"))["desiredState"] == "running"


async def test_one_instance_is_stopped_by_kubectl(client: ManagerClient) -> None:
    """The platform would replace it at once, so that the manager says what to type instead."""
    one = (await client.instances("executor"))[0]
    body = {"action": "stop", "instanceId": one["instanceId"]}
    refused = await client.http.post("/api/agent-services/executor/action", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "not-supported")
    assert f"kubectl delete pod {one['pod']['name']}" in refused.json()["detail"]


async def test_a_restart_in_place_keeps_the_pods(client: ManagerClient, release: Namespace) -> None:
    """Each process is replaced in turn within its own pod."""
    before = {one["instanceId"] for one in await client.instances("executor")}
    pods = {pod["metadata"]["uid"] for pod in release.pods("executor")}
    assert (await act(client, "executor", "restart")).startswith("succeeded")
    after = await client.instances("executor")
    assert before & {one["instanceId"] for one in after} == set()
    assert {pod["metadata"]["uid"] for pod in release.pods("executor")} == pods


async def test_a_rollout_through_the_manager_replaces_the_pods(client: ManagerClient, release: Namespace) -> None:
    """`strategy: rollout` is what `kubectl rollout restart` does, followed to its end."""
    pods = {pod["metadata"]["uid"] for pod in release.pods("executor")}
    assert (await act(client, "executor", "restart", strategy="rollout")).startswith("succeeded")
    await client.until_running("executor", 2)
    assert {pod["metadata"]["uid"] for pod in release.pods("executor")} & pods == set()


async def test_kubectl_describe_tells_the_story(client: ManagerClient, release: Namespace) -> None:
    """Who ordered what, and how the drain ended, are Events of the workload."""
    assert (await act(client, "retriever", "restart", strategy="rollout")).startswith("succeeded")

    async def told() -> bool:
        said = await in_thread(release.kubectl, "describe", deployment(release, "retriever"))
        return "AgentRestart" in said and "Drain" in said

    await client.until(told, "the Events are there")
