"""The API server away, another than it was, or forbidding: calls go on, and what the manager knows is mended."""

import os
import shlex
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests.cluster.cluster import FAULTS, Namespace, in_thread, run
from tests.cluster.manifests import container, workload
from tests.system.load import under_load
from tests.system.manager_client import ManagerClient

pytestmark = [pytest.mark.full, pytest.mark.cluster, pytest.mark.timeout(300)]

Fault = Callable[[str], None]


@pytest.fixture
async def client(release: Namespace) -> AsyncIterator[ManagerClient]:
    """Give a client past the API server, which a port-forward goes through; who can kill it is on a node."""
    pod = release.managers()[0]
    (port,) = [one for one in pod["spec"]["containers"][0]["ports"] if one["name"] == "http"]
    async with ManagerClient(port["containerPort"], release.explain, pod["status"]["podIP"]) as calling:
        for agent, count in (("planner", 1), ("retriever", 1), ("executor", 2)):
            await calling.until_running(agent, count)
        yield calling


@pytest.fixture
def part() -> Iterator[Fault]:
    """Give what kills and starts the API server; where the cluster has no such command, these stories are skipped."""
    command = os.environ.get(FAULTS)
    if not command and os.environ.get("CI"):
        pytest.fail(f"{FAULTS} is not set: nobody can kill this cluster's API server")
    if not command:
        pytest.skip(f"needs a cluster whose API server can be killed: {FAULTS}")

    def do(verb: str) -> None:
        run(*shlex.split(command), verb, "kube-apiserver")
        give_up = time.monotonic() + 60
        while answers() is (verb == "kill"):
            assert time.monotonic() < give_up, f"the API server did not {verb} within a minute"

    yield do
    if not answers():
        do("start")


def answers() -> bool:
    """Tell whether the API server is ready to serve."""
    return run("kubectl", "get", "--raw", "/readyz", "--request-timeout", "5s", check=False).returncode == 0


async def test_calls_go_on_while_the_api_server_is_away(client: ManagerClient, release: Namespace, part: Fault) -> None:
    """Nothing on the way of a call asks the API server; /ready stays 200 and names the stale source."""

    async def stale() -> bool:
        ready = await client.http.get("/ready")
        assert ready.status_code == 200
        return bool(ready.json()["stale"])

    async def fresh() -> bool:
        return not await stale()

    async def story() -> None:
        await in_thread(part, "kill")
        try:
            await client.until(stale, "the manager says that its source is stale")
        finally:
            await in_thread(part, "start")
        await client.until(fresh, "it has listed again", 60)

    del release
    await under_load(client, story)
    assert await client.metric("agent_manager_watch_up") == 1


async def test_what_went_while_the_watch_was_broken_is_gone_after_it(
    client: ManagerClient, release: Namespace, part: Fault
) -> None:
    """The version that the watch would go on from is too old for the new API server: 410, and all is listed again."""
    release.apply(workload("ghost", {"containers": [container(["sleep", "600"])]}))

    async def status(code: int) -> bool:
        return (await client.http.get("/api/agent-services/ghost")).status_code == code

    await client.until(lambda: status(200), "it is listed")
    manager = release.managers()
    await in_thread(part, "kill")
    await in_thread(part, "start")
    await in_thread(release.kubectl, "delete", "deployment", "ghost", "--cascade=foreground")
    await client.until(lambda: status(404), "the ghost is gone", 60)
    restarts = {pod["status"]["containerStatuses"][0]["restartCount"] for pod in release.managers()}
    assert restarts == {pod["status"]["containerStatuses"][0]["restartCount"] for pod in manager}


async def test_rights_taken_away_while_it_runs_degrade_the_manager_and_are_told(
    client: ManagerClient, release: Namespace, part: Fault
) -> None:
    """No crash loop: calls and heartbeats go on, the listing and /ready say what is missing; it heals by itself."""
    bindings = release.get("rolebindings")
    restarts = [pod["status"]["containerStatuses"][0]["restartCount"] for pod in release.managers()]

    async def denied() -> bool:
        problem = (await client.agent("executor"))["problem"] or {}
        return problem.get("code") == "rbac-denied" and bool((await client.http.get("/ready")).json()["stale"])

    async def healed() -> bool:
        return (await client.agent("executor"))["problem"] is None

    await in_thread(release.kubectl, "delete", "rolebindings", "--all")
    try:
        await in_thread(part, "kill")  # a watch that stands is not asked for its rights again
        await in_thread(part, "start")
        await client.until(denied, "the listing and /ready tell of it", 60)
        assert (await client.steps({"calculate": "1 + 1"})).status_code == 200
        refused = await client.http.post("/api/agent-services/executor/action", json={"action": "stop"})
        assert refused.status_code in (403, 503), refused.text
    finally:
        kept = ("name", "labels", "annotations")
        release.apply(*({**one, "metadata": {key: one["metadata"].get(key, {}) for key in kept}} for one in bindings))
    await client.until(healed, "the watch is back", 60)
    after = [pod["status"]["containerStatuses"][0]["restartCount"] for pod in release.managers()]
    assert after == restarts
