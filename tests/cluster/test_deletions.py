"""How soon a deletion is in the listing: routing must end before the pod does."""

import asyncio
import itertools
import json
import time

import pytest

from tests.cluster.cluster import Namespace
from tests.cluster.manifests import container, workload
from tests.system.manager_client import ManagerClient

pytestmark = [pytest.mark.full, pytest.mark.cluster, pytest.mark.timeout(600)]

DELETIONS = 200
AT_A_TIME = 8
P99_SECONDS = 1.0
AGENT = "mayfly"


async def follow(client: ManagerClient, seen: dict[str, float], left: asyncio.Event) -> None:
    """Note when the watch of listings first says of each pod that it is stopping, or not there any more."""
    known: set[str] = set()
    async with client.http.stream("GET", "/api/agent-services", params={"watch": "true"}, timeout=None) as stream:
        async for line in stream.aiter_lines():
            if not line.startswith("data:"):
                continue
            event = json.loads(line[5:])
            for agent in event.get("agents", [event.get("agent", {})]):
                if agent.get("id") != AGENT:
                    continue
                there = {one["pod"]["name"]: one["state"] for one in agent["instances"]}
                known |= there.keys()
                for name in known:
                    if there.get(name, "stopping") == "stopping":
                        seen.setdefault(name, time.monotonic())
                left.set()


def running(release: Namespace) -> set[str]:
    """Give the names of the agent's pods that run and are not being deleted."""
    return {pod["metadata"]["name"] for pod in release.pods(AGENT) if pod["status"]["phase"] == "Running"}


async def test_a_deletion_is_listed_within_a_second(client: ManagerClient, release: Namespace) -> None:
    """The 99th percentile of 200 deletions, from the moment that kubectl's request returned."""
    pod = {"containers": [container(["sleep", "600"])], "terminationGracePeriodSeconds": 1}
    release.apply(workload(AGENT, pod, replicas=AT_A_TIME))
    deleted: dict[str, float] = {}
    seen: dict[str, float] = {}
    changed = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        following = group.create_task(follow(client, seen, changed))
        for _ in itertools.takewhile(lambda _: len(deleted) < DELETIONS, itertools.count()):
            fresh = running(release) - deleted.keys()
            if len(fresh) < AT_A_TIME:  # faster than pods come, the node would only pile up those that go
                changed.clear()
                async with asyncio.timeout(60):
                    await changed.wait()
                continue
            at = time.monotonic()
            await asyncio.to_thread(release.kubectl, "delete", "pod", *fresh, "--wait=false")
            deleted.update(dict.fromkeys(fresh, at))

        async def all_seen() -> bool:
            return deleted.keys() <= seen.keys()

        await client.until(all_seen, "every deletion was listed")
        following.cancel()
    release.kubectl("delete", "deployment", AGENT, "--wait=false")
    delays = sorted(seen[name] - at for name, at in deleted.items())
    assert delays[int(0.99 * len(delays))] < P99_SECONDS, delays[-10:]
