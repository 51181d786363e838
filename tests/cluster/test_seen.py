"""What goes wrong with pods, as the operator sees it who types `agentctl get agents`."""

import json
from typing import Any

import pytest

from tests.agentctl.command import line
from tests.cluster.cluster import Namespace, in_thread, run
from tests.cluster.manifests import container, workload
from tests.system.manager_client import ManagerClient

pytestmark = [pytest.mark.full, pytest.mark.cluster, pytest.mark.timeout(300)]

SICK: dict[str, tuple[str, str, dict[str, Any]]] = {
    "hungry": ("oom-killed", "OOMKilled", {"containers": [container(["python", "-c", "b'x' * (1 << 30)"])]}),
    "restless": ("crash-loop", "exit code 3", {"containers": [container(["python", "-c", "raise SystemExit(3)"])]}),
    "imageless": (
        "image-pull",
        "agent-that-is-not-there",
        {"containers": [container([], image="agent-that-is-not-there:1")]},
    ),
    "homeless": (
        "pending",
        "node",
        {"containers": [container(["python", "-c", ""])], "nodeSelector": {"nowhere": "true"}},
    ),
}
"""By agent: the code and a word of the detail that its listing shows, and its pod."""


@pytest.fixture(params=SICK)
def sick(request: pytest.FixtureRequest, release: Namespace) -> Any:
    """Give a sick agent in the release's namespace."""
    agent = request.param
    release.apply(workload(agent, SICK[agent][2]))
    yield agent
    release.kubectl("delete", "deployment", agent, "--wait=false")


async def test_an_operator_sees_what_ails_a_pod(sick: str, client: ManagerClient) -> None:
    """The table names the problem, the details name the container, the count and the kubelet's own words."""
    code, word, _ = SICK[sick]

    async def shown() -> bool:
        found = await client.http.get(f"/api/agent-services/{sick}")
        return found.status_code == 200 and (found.json()["problem"] or {}).get("code") == code

    await client.until(shown, f"{sick} has the problem {code}", 90)
    agentctl = line("--manager", f"http://127.0.0.1:{client.port}")
    table = (await in_thread(run, *agentctl, "get", "agents", sick)).stdout
    assert code in table, table
    described = (await in_thread(run, *agentctl, "describe", "agent", sick)).stdout
    assert word in described, described
    said = (await in_thread(run, *agentctl, "get", "instances", "--agent", sick, "-o", "json")).stdout
    listed = json.loads(said)["instances"]
    assert {one["pod"]["phase"] for one in listed} <= {"Pending", "Running"}
    assert [one["problem"]["code"] for one in listed] == [code]
    called = await client.execute(sick)
    assert called.status_code == 503


async def test_a_sick_agent_that_is_deleted_is_listed_no_more(client: ManagerClient, release: Namespace) -> None:
    """A workload that is gone takes its agent with it."""
    release.apply(workload("short-lived", {"containers": [container(["sleep", "60"])]}))

    async def status(code: int) -> bool:
        return (await client.http.get("/api/agent-services/short-lived")).status_code == code

    await client.until(lambda: status(200), "it is listed")
    await in_thread(release.kubectl, "delete", "deployment", "short-lived")
    await client.until(lambda: status(404), "it is listed no more", 120)
