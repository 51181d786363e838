"""Whatever happens in a cluster, and to the watch of it: in the end the registry knows what the API server has."""

import itertools
from collections.abc import Callable
from typing import Any

from agent_manager.cluster.api import ClusterApi
from agent_manager.cluster.pace import Pace
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from tests.manager.api_objects import deployment, pod
from tests.manager.discovering import Discovering, discovering
from tests.manager.fake_api_server import FakeApiServer

FAST = Pace(shortest=0.001, longest=0.004, steady=10.0, inactivity=60.0)
"""Silence mends nothing here."""
NAMESPACES = (f"n{number}" for number in itertools.count())


class Change(Struct):
    """An object that becomes another, or goes."""

    kind: str
    name: str
    agent: str
    how: str


class Episode(Struct):
    """Changes that the watch sees, a break, and changes of which it sees nothing."""

    seen: list[Change]
    broken: str
    unseen: list[Change]
    forgotten: bool
    """The API server knows of no gap: it has but the present."""


CHANGES = st.lists(
    st.builds(
        Change,
        kind=st.sampled_from(["pod", "pod", "deployment"]),
        name=st.sampled_from(["a", "b"]),
        agent=st.sampled_from(["one", "one", "two", "No_Agent"]),
        how=st.sampled_from(["runs", "runs", "leaves", "ended", "gone", "gone", "moved"]),
    ),
    max_size=6,
)
EPISODES = st.lists(
    st.builds(
        Episode,
        seen=CHANGES,
        broken=st.sampled_from(["closed", "broken", "expired", "half", "nonsense"]),
        unseen=CHANGES,
        forgotten=st.booleans(),
    ),
    min_size=2,
    max_size=4,
)


class World:
    """The API server, and what is done to it."""

    def __init__(self, server: FakeApiServer, namespace: str) -> None:
        self.server = server
        self.pods_path = f"/api/v1/namespaces/{namespace}/pods"
        self.deployments_path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        self.store = server.store
        self._breaks: dict[str, Callable[[], None]] = {
            "closed": server.close_watches,
            "broken": lambda: server.close_watches(broken=True),
            "expired": lambda: server.write(b'{"type":"ERROR","object":{"code":410}}\n'),
            "half": lambda: server.write(b'{"type":"ADD'),
            "nonsense": lambda: server.write(b"<html>\n"),
        }

    def break_watches(self, episode: Episode) -> None:
        """Let changes happen in a gap."""
        self._breaks[episode.broken]()
        self.change(episode.unseen)
        if episode.forgotten:
            self.store.compact()

    def change(self, changes: list[Change]) -> None:
        """Let things change."""
        for change in changes:
            if change.kind == "pod":
                self._put_or_delete(self.pods_path, _pod(change), gone=change.how == "gone")
            else:
                thing = deployment(change.name, change.agent)
                self._put_or_delete(self.deployments_path, thing, gone=change.how == "gone")

    def _put_or_delete(self, collection: str, thing: dict[str, Any], *, gone: bool) -> None:
        metadata = thing["metadata"]
        known = [one["metadata"] for one in self.store.list(collection) if one["metadata"]["name"] == metadata["name"]]
        if known and gone:
            self.store.delete(collection, metadata["name"])
        elif not gone:
            if known and "deletionTimestamp" in known[0]:  # nobody takes a deletion back
                metadata["deletionTimestamp"] = known[0]["deletionTimestamp"]
            self.store.put(collection, thing)

    def pods(self) -> dict[str, tuple[str, bool, str]]:
        """Give the pods that are to be known: agent, whether it leaves, and its address, by uid."""
        found = {}
        for thing in self.store.list(self.pods_path):
            metadata, status = thing["metadata"], thing["status"]
            agent = metadata["labels"]["agent-orchestration.dev/agent"]
            if agent != "No_Agent" and status["phase"] == "Running":
                found[metadata["uid"]] = (agent, "deletionTimestamp" in metadata, status["podIP"])
        return found

    def workloads(self) -> dict[str, str]:
        """Give the workloads that are to be known: agent, by uid."""
        found = {
            thing["metadata"]["uid"]: thing["metadata"]["labels"]["agent-orchestration.dev/agent"]
            for thing in self.store.list(self.deployments_path)
        }
        return {uid: agent for uid, agent in found.items() if agent != "No_Agent"}


def _pod(change: Change) -> dict[str, Any]:
    thing = pod(change.name, change.agent)
    if change.how == "leaves":
        thing["metadata"]["deletionTimestamp"] = "2026-11-25T01:02:00Z"
    elif change.how == "ended":
        thing["status"]["phase"] = "Failed"
    elif change.how == "moved":
        thing["status"]["podIP"] = "10.0.0.8"
    return thing


def known_pods(found: Discovering) -> dict[str, tuple[str, bool, str]]:
    """Give the pods that the registry knows."""
    return {
        uid: (record.id, one.leaving, one.ip or "")
        for record in found.registry.agents.values()
        for uid, one in record.pods.items()
    }


def known_workloads(found: Discovering) -> dict[str, str]:
    """Give the workloads that the registry knows."""
    return {uid: record.id for record in found.registry.agents.values() for uid in record.workloads}


async def settled(found: Discovering, world: World) -> None:
    """Wait until the registry knows what there is."""
    await found.until(lambda: known_pods(found) == world.pods() and known_workloads(found) == world.workloads())


# one server for all examples: each has a namespace of its own
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(episodes=EPISODES)
async def test_the_registry_becomes_what_the_api_server_has(
    api_server: FakeApiServer, cluster_api: ClusterApi, episodes: list[Episode]
) -> None:
    """Any changes, and breaks of any kind between them."""
    namespace = next(NAMESPACES)
    world = World(api_server, namespace)
    async with discovering(cluster_api, [namespace], FAST) as found:
        await found.until_listed()
        for episode in episodes:
            world.change(episode.seen)
            await settled(found, world)
            world.break_watches(episode)
            await settled(found, world)
