"""Several managers and their own upgrade: one acts, all forward, and nothing is lost while they are replaced."""

import asyncio
import json
from typing import Any

import pytest

from tests.cluster.cluster import MANAGER, Namespace, in_thread
from tests.cluster.manifests import container
from tests.system.manager_client import ManagerClient

pytestmark = [pytest.mark.full, pytest.mark.cluster, pytest.mark.timeout(600)]

CALLER = """
import http.client, json, sys, time
end, told = time.monotonic() + float(sys.argv[2]), []
while time.monotonic() < end:
    connection = http.client.HTTPConnection(sys.argv[1], timeout=60)
    try:
        body = json.dumps({"parameters": {"steps": [{"wait": 0.02}]}})
        connection.request("POST", "/api/agent-services/executor/execute", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told.append(f"{answer.status} {'' if answer.status == 200 else answer.read().decode()}".strip())
    except OSError as error:
        told.append(repr(error))
    finally:
        connection.close()
print(json.dumps({each: told.count(each) for each in set(told)}))
"""
"""Calls one after the other, each on a connection of its own, and counts what it was told."""
SECONDS = 45
CALLERS = 4


def caller(service: str) -> dict[str, Any]:
    """Give a Job whose pods call through the manager's Service, as programs in the cluster do."""
    command = ["python", "-c", CALLER, service, str(SECONDS)]
    pod = {"containers": [container(command)], "restartPolicy": "Never", "automountServiceAccountToken": False}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "callers"},
        "spec": {"completions": CALLERS, "parallelism": CALLERS, "backoffLimit": 0, "template": {"spec": pod}},
    }


async def test_an_upgrade_of_the_manager_loses_no_call(release: Namespace) -> None:
    """Every manager pod is replaced while programs in the cluster call through the Service."""
    service = release.manager_service()
    port = release.get("services", MANAGER)[0]["spec"]["ports"][0]["port"]
    before = {pod["metadata"]["uid"] for pod in release.managers()}
    release.apply(caller(f"{service}:{port}"))
    await in_thread(release.kubectl, "wait", "job/callers", f"--for=jsonpath={{.status.ready}}={CALLERS}")
    await in_thread(release.install, "--set", "manager.podAnnotations.upgraded=yes")
    assert before & {pod["metadata"]["uid"] for pod in release.managers()} == set()
    await in_thread(release.kubectl, "wait", "job/callers", "--for=condition=Complete", "--timeout", "120s")
    told = [json.loads(text) for text in release.kubectl("logs", "--selector", "job-name=callers").splitlines()]
    release.kubectl("delete", "job", "callers")
    assert len(told) == CALLERS
    assert [list(one) for one in told] == [["200"]] * CALLERS
    assert sum(one["200"] for one in told) > CALLERS * SECONDS * 2


async def test_one_manager_acts_and_each_forwards(release: Namespace) -> None:
    """An order given to either is carried out once, by the holder of the Lease, and can be looked up at both."""
    await in_thread(release.install, "--set", "manager.replicas=2")
    pods = [f"pod/{pod['metadata']['name']}" for pod in release.managers()]
    assert len(pods) == 2
    async with release.manager(pods[0]) as one, release.manager(pods[1]) as other:
        for client in (one, other):
            await client.until_running("executor", 2)

        async def one_leads() -> bool:
            return await one.metric("agent_manager_leader") + await other.metric("agent_manager_leader") == 1

        await one.until(one_leads, "one of them leads")
        for client, peer in ((one, other), (other, one)):
            await restarts_once(client, peer)


async def restarts_once(client: ManagerClient, peer: ManagerClient) -> None:
    """Restart at one manager, follow it at the other.

    One that has not heard yet who took the Lease over says `no-leader`: nothing has begun then, and one asks again.
    """
    path = "/api/agent-services/executor"
    before = {one["instanceId"] for one in await client.instances("executor")}
    ordered: list[str] = []

    async def taken() -> bool:
        answer = await client.http.post(f"{path}/action", json={"action": "restart"})
        assert answer.status_code == 202 or answer.json()["code"] == "no-leader", answer.text
        ordered.extend([answer.headers["location"]] if answer.status_code == 202 else [])
        return bool(ordered)

    await client.until(taken, "the order is taken", 15)
    said: dict[str, Any] = {}

    async def over() -> bool:
        said.update((await peer.http.get(ordered[0])).json())
        return bool(said.get("state", "running") != "running")

    await client.until(over, "the restart ended", 120)
    assert said["state"] == "succeeded", said
    after = {one["instanceId"] for one in await client.instances("executor")}
    assert before & after == set()
    assert {step["successor"] for step in said["instances"]} == after


async def test_the_next_manager_takes_over_at_once_when_the_leader_leaves(release: Namespace) -> None:
    """A manager that leaves in order gives the Lease back: nobody waits for it to run out."""
    await in_thread(release.install, "--set", "manager.replicas=2")
    async with release.manager() as client:
        leaders: list[str] = []

        async def led() -> bool:
            names = [str(pod["metadata"]["name"]) for pod in release.managers()]
            leaders[:] = [name for name in names if holder(release).startswith(name)]
            return bool(leaders)

        await client.until(led, "one of them leads")
        before = holder(release)
        deleting = asyncio.create_task(in_thread(release.kubectl, "delete", "pod", leaders[0]))

        async def another() -> bool:
            return holder(release) not in ("", before)

        await client.until(another, "another manager holds the Lease", 20)
    await deleting


def holder(release: Namespace) -> str:
    """Give who holds the Lease; empty where nobody does."""
    return "".join(lease["spec"].get("holderIdentity") or "" for lease in release.get("leases"))
