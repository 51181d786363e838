"""How soon a deletion is in the listing: routing must end before the pod does."""

import asyncio
import json
import time
from typing import Any

import pytest

from tests.cluster.cluster import Namespace
from tests.cluster.manifests import container, workload
from tests.system.manager_client import ManagerClient

pytestmark = [pytest.mark.full, pytest.mark.cluster, pytest.mark.timeout(600)]

DELETIONS = 200
AT_A_TIME = 8
"""More, and the node piles up pods that go: a kubelet ends and starts only a few a second."""
P99_SECONDS = 1.0
AGENT = "mayfly"


class Book:
    """What the stream of listings said of the agent's pods, and when it first said of each that it goes."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.gone: dict[str, float] = {}
        self.changed = asyncio.Event()

    async def follow(self, client: ManagerClient) -> None:
        """Read the stream, for ever."""
        async with client.http.stream("GET", "/api/agent-services", params={"watch": "true"}, timeout=None) as stream:
            async for line in stream.aiter_lines():
                event = json.loads(line[5:]) if line.startswith("data:") else {}
                for agent in event.get("agents", [event.get("agent", {})]):
                    if agent.get("id") == AGENT:
                        self._note({one["pod"]["name"]: one for one in agent["instances"]})

    def _note(self, there: dict[str, dict[str, Any]]) -> None:
        stays = {name for name, one in there.items() if one["state"] != "stopping"}
        for name in self.running - stays:
            self.gone.setdefault(name, time.monotonic())
        self.running = {name for name in stays if there[name]["pod"]["phase"] == "Running"}
        self.changed.set()

    async def until_running(self, count: int) -> set[str]:
        """Give the pods that run, once there are so many."""
        async with asyncio.timeout(120):
            while len(self.running) < count:
                self.changed.clear()
                await self.changed.wait()
        return set(self.running)


async def test_a_deletion_is_listed_within_a_second(client: ManagerClient, release: Namespace) -> None:
    """The 99th percentile of 200 deletions of running pods, from the moment that the API server is asked."""
    pod = {"containers": [container(["sleep", "600"])], "terminationGracePeriodSeconds": 1}
    release.apply(workload(AGENT, pod, replicas=AT_A_TIME))
    book, asked = Book(), dict[str, float]()
    with release.api_server() as api:
        async with asyncio.TaskGroup() as group:
            following = group.create_task(book.follow(client))
            while len(asked) < DELETIONS:
                for name in await book.until_running(AT_A_TIME):
                    asked[name] = time.monotonic()
                    (await client.http.delete(f"{api}/pods/{name}")).raise_for_status()

            async def all_listed() -> bool:
                return asked.keys() <= book.gone.keys()

            await client.until(all_listed, "every deletion is listed")
            following.cancel()
    release.kubectl("delete", "deployment", AGENT, "--wait=false")
    delays = sorted(book.gone[name] - at for name, at in asked.items())
    assert delays[int(0.99 * len(delays))] < P99_SECONDS, delays[-10:]
