"""Discovery in Kubernetes: what becomes known of a cluster, from its API to the registry."""

from datetime import timedelta
from typing import Any

import pytest
import structlog
from agent_manager.cluster.api import ClusterApi
from agent_manager.cluster.pod_problems import PATIENCE_SECONDS
from agent_manager.discovery.events import Denied

from tests.manager.api_objects import DEPLOYMENTS, PODS, STATEFUL_SETS, deployment, pod
from tests.manager.discovering import discovering
from tests.manager.fake_adapter import fake_adapter
from tests.manager.fake_api_server import FakeApiServer, Request, failure
from tests.manager.stage import EPOCH

THERE = "/api/v1/namespaces/there/pods"


def at(port: int, **changes: Any) -> dict[str, Any]:
    """Give a pod whose adapter listens on this machine."""
    thing = pod(**changes)
    thing["status"]["podIP"] = "127.0.0.1"
    thing["metadata"]["annotations"] = {"agent-orchestration.dev/port": str(port)}
    return thing


# --- pods -------------------------------------------------------------------------------------------------------------


async def test_a_pod_is_known_as_soon_as_it_is_there(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """Before anybody answers in it: listed as `starting`, and never called."""
    async with discovering(cluster_api) as found:
        await found.until_listed()
        api_server.store.put(PODS, pod("p-1"))
        await found.until(lambda: found.registry.find("echo") is not None)
        record = found.agent("echo")
    assert (record.state, [one.name for one in record.bare_pods.values()]) == ("starting", ["p-1"])
    assert found.registry.pick("echo") is None


async def test_who_is_in_a_pod_is_asked(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """An adapter that does not register here is known by its answer, and called."""
    async with fake_adapter("echo", "a1") as adapter, discovering(cluster_api) as found:
        api_server.store.put(PODS, at(adapter.port))
        await found.until(lambda: found.ids() == ["a1"])
        instance = found["a1"]
        assert (instance.source, instance.service_url, instance.routable) == ("kubernetes", adapter.url, True)
        assert instance.pod is not None
        assert found.registry.pick("echo") is instance


async def test_a_pod_is_asked_again_until_somebody_answers(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """Its container runs before its adapter listens."""
    async with fake_adapter("echo", "a1") as adapter:
        port = adapter.port
    async with discovering(cluster_api) as found:
        api_server.store.put(PODS, at(port))
        await found.until(lambda: found.registry.find("echo") is not None)
        async with fake_adapter("echo", "a1", port):
            await found.until(lambda: found.ids() == ["a1"])


async def test_a_stranger_in_a_pod_is_left_alone(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """The label says one agent and the adapter another: it is said once, and nothing is called in the wrong name."""
    with structlog.testing.capture_logs() as logs:
        async with fake_adapter("other", "x1") as adapter, discovering(cluster_api) as found:
            api_server.store.put(PODS, at(adapter.port))
            await found.until_listed()
            while adapter.requests.count("GET /status") < 3:
                await found.registry.changed("echo", 0.02)
            assert found.ids() == []
    strangers = [line for line in logs if line["event"] == "another agent in a pod"]
    assert [(line["pod"], line["agent"], line["found"]) for line in strangers] == [("p", "echo", "other")]


async def test_a_pod_with_a_known_process_is_not_asked(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """It registered, and its pod is seen afterwards."""
    async with fake_adapter("a", "a1") as adapter, discovering(cluster_api) as found:
        found.register("a1", adapter.url)
        api_server.store.put(PODS, at(adapter.port, agent="a"))
        await found.until(lambda: found["a1"].pod is not None)
        await found.registry.changed("a", 0.25)
        assert adapter.requests == []


async def test_a_pod_that_is_deleted_stops_at_once_and_is_gone_in_the_end(
    api_server: FakeApiServer, cluster_api: ClusterApi
) -> None:
    """Its `deletionTimestamp` ends routing before the adapter knows; its end takes it off the listing."""
    async with fake_adapter("echo", "a1") as adapter, discovering(cluster_api) as found:
        thing = at(adapter.port)
        api_server.store.put(PODS, thing)
        await found.until(lambda: found.ids() == ["a1"])
        thing["metadata"]["deletionTimestamp"] = "2026-11-25T01:05:00Z"
        api_server.store.put(PODS, thing)
        await found.until(lambda: found["a1"].state == "stopping")
        assert found.registry.pick("echo") is None
        api_server.store.delete(PODS, "p")
        await found.until(lambda: found.ids() == [])
        assert [one.reason for one in found.departures] == ["withdrawn"]


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
async def test_a_pod_that_ended_is_gone(api_server: FakeApiServer, cluster_api: ClusterApi, phase: str) -> None:
    """Evicted, or done: its object stays for long, and it will not run again."""
    async with discovering(cluster_api) as found:
        api_server.store.put(PODS, pod())
        await found.until(lambda: found.told().count("PodSeen p") == 1)
        ended = pod()
        ended["status"]["phase"] = phase
        api_server.store.put(PODS, ended)
        await found.until(lambda: found.told()[-1] == "PodGone")
        api_server.store.delete(PODS, "p")
        api_server.store.put(PODS, pod("q"))
        await found.until(lambda: found.told()[-1] == "PodSeen q")
    assert found.told().count("PodGone") == 1


async def test_a_pod_that_becomes_another_agents_leaves_the_first(
    api_server: FakeApiServer, cluster_api: ClusterApi
) -> None:
    """Somebody changed its label."""
    async with discovering(cluster_api) as found:
        api_server.store.put(PODS, pod(agent="one"))
        await found.until(lambda: found.registry.find("one") is not None)
        api_server.store.put(PODS, pod(agent="two"))
        await found.until(lambda: found.registry.find("two") is not None)
        assert list(found.agent("one").pods) == []


async def test_what_did_not_change_is_not_told(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """The kubelet writes a pod's status each few seconds, and each relist brings everything."""
    async with discovering(cluster_api) as found:
        api_server.store.put(PODS, pod())
        await found.until_listed()
        api_server.store.put(PODS, pod(metadata={"annotations": {"noted": "by somebody"}}))
        api_server.store.put(PODS, pod("q"))
        await found.until(lambda: found.told()[-1] == "PodSeen q")
        await api_server.until(lambda: api_server.watching("pods") == 1)
        api_server.write(b'{"type":"ERROR","object":{"code":410}}\n', "pods")
        listed = found.told().count("Listed")
        await found.until(lambda: found.told().count("Listed") > listed)
    assert (found.told().count("PodSeen p"), found.told().count("PodSeen q")) == (1, 1)


async def test_a_pod_that_takes_long_becomes_a_problem_by_time_alone(
    api_server: FakeApiServer, cluster_api: ClusterApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it changes but its age."""
    monkeypatch.setattr("agent_manager.discovery.kubernetes._AGAIN_SECONDS", 0.01)
    async with discovering(cluster_api) as found:
        thing = pod(metadata={"creationTimestamp": found.wall().isoformat()})
        thing["status"] = {"phase": "Pending"}
        api_server.store.put(PODS, thing)
        await found.until(lambda: found.registry.find("echo") is not None)
        [bare] = found.agent("echo").bare_pods.values()
        assert bare.problem is None
        found.wall_offset += timedelta(seconds=PATIENCE_SECONDS)
        await found.until(lambda: found.agent("echo").problem is not None)
        [bare] = found.agent("echo").bare_pods.values()
        assert bare.problem is not None
        assert bare.problem.code == "pending"


# --- what is odd ------------------------------------------------------------------------------------------------------


async def test_an_odd_object_is_left_out_and_said_once(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """A label that is no agent's id, and a pod that nobody can read: neither ends the watch."""
    with structlog.testing.capture_logs() as logs:
        async with discovering(cluster_api) as found:
            for _ in range(2):
                api_server.store.put(PODS, pod("capitals", agent="Echo_1"))
                api_server.store.put(PODS, {**pod("unreadable"), "spec": "none"})
                api_server.store.put(DEPLOYMENTS, {**deployment("unreadable-too"), "spec": []})
            odd_port = pod(
                "odd-port",
                metadata={"annotations": {"agent-orchestration.dev/port": "http"}},
            )
            api_server.store.put(PODS, odd_port)
            await found.until(lambda: "PodSeen odd-port" in found.told())
            api_server.store.put(DEPLOYMENTS, deployment("sound"))
            await found.until(lambda: "WorkloadSeen sound" in found.told())
    said = [(line["kind"], line["name"]) for line in logs if line["event"] == "odd object"]
    assert sorted(said) == [
        ("Deployment", "unreadable-too"),
        ("pod", "capitals"),
        ("pod", "odd-port"),
        ("pod", "unreadable"),
    ]


async def test_a_pod_that_cannot_be_read_any_more_stays_as_it_was(
    api_server: FakeApiServer, cluster_api: ClusterApi
) -> None:
    """It is there; what it became nobody knows."""
    async with discovering(cluster_api) as found:
        api_server.store.put(PODS, pod())
        await found.until(lambda: "PodSeen p" in found.told())
        api_server.store.put(PODS, {**pod(), "status": "unknown"})
        api_server.store.put(PODS, pod("q"))
        await found.until(lambda: "PodSeen q" in found.told())
        assert sorted(one.name for one in found.agent("echo").pods.values()) == ["p", "q"]


# --- workloads --------------------------------------------------------------------------------------------------------


async def test_a_workload_makes_an_agent_known_without_a_pod(
    api_server: FakeApiServer, cluster_api: ClusterApi
) -> None:
    """It is `stopped`, and how it is to be is what the annotation says."""
    api_server.store.put(DEPLOYMENTS, deployment("d", "one", 0, desired_state="stopped", replicas="3"))
    api_server.store.put(STATEFUL_SETS, deployment("s", "two", 2, desired_state="paused"))
    async with discovering(cluster_api) as found:
        await found.until_listed()
    one, two = found.agent("one"), found.agent("two")
    assert (one.state, one.desired_state, one.desired_instances) == ("stopped", "stopped", 0)
    assert (two.state, two.desired_state, two.desired_instances) == ("stopped", "paused", 2)
    [workload] = one.workloads.values()
    assert (workload.kind, workload.kept_replicas) == ("Deployment", 3)


async def test_a_workload_that_is_deleted_is_gone(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """And one whose label becomes another agent's is that one's."""
    api_server.store.put(DEPLOYMENTS, deployment("d", "one"))
    api_server.store.put(DEPLOYMENTS, deployment("e", "one"))
    async with discovering(cluster_api) as found:
        await found.until(lambda: found.told().count("WorkloadSeen e") == 1)
        api_server.store.delete(DEPLOYMENTS, "d")
        api_server.store.put(DEPLOYMENTS, deployment("e", "two"))
        await found.until(lambda: found.registry.find("two") is not None)
    assert list(found.agent("one").workloads) == []
    assert len(found.agent("two").workloads) == 1


# --- namespaces and rights --------------------------------------------------------------------------------------------


async def test_everything_was_told_when_each_collection_was_listed(
    api_server: FakeApiServer, cluster_api: ClusterApi
) -> None:
    """Of each kind, in each namespace: one that hangs keeps the source unlisted."""
    api_server.answer = lambda request: (
        failure(500, "InternalError") if (request.collection, request.verb) == (THERE, "list") else None
    )
    async with discovering(cluster_api, ["here", "there"]) as found:
        await api_server.until(lambda: len(api_server.asked("list", "pods")) >= 5)
        assert "Listed" not in found.told()
        assert not found.health.is_up("there")
        api_server.answer = lambda _: None
        await found.until_listed()
        paths = {request.collection for request in api_server.requests}
    assert len(paths) == 6


async def test_rights_that_are_revoked_show_at_the_agents(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """F21: its agents stay, and say what is refused; beats are taken. When the right is back the problem is gone."""
    api_server.store.put(DEPLOYMENTS, deployment("d", "a"))
    async with discovering(cluster_api) as found:
        await found.until_listed()
        await api_server.until(lambda: api_server.watching("deployments") == 1)
        found.register("a1")

        def refuse(request: Request) -> Any:
            return failure(403, "Forbidden", "no") if request.plural == "deployments" else None

        api_server.answer = refuse
        api_server.close_watches()
        await found.until(lambda: found.agent("a").problem is not None)
        problem = found.agent("a").problem
        assert problem is not None
        assert problem.code == "rbac-denied"
        assert "kubectl auth can-i" in problem.detail
        assert "deployments.apps -n here" in problem.detail
        assert found.beat("a1").routable
        api_server.answer = lambda _: None
        await found.until(lambda: found.agent("a").problem is None)
    denials = [event for event in found.events if isinstance(event, Denied)]
    assert [event.problem is None for event in denials][-1]
    assert found.agent("a").state == "running"


async def test_the_first_list_of_a_manager_without_rights(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """It is denied before it knows anything, and nothing is listed."""
    api_server.answer = lambda _: failure(403, "Forbidden", "no")
    async with discovering(cluster_api) as found:
        await found.until(lambda: "Denied" in found.told())
        denial = found.health.denial("here")
    assert denial is not None
    assert denial.since >= EPOCH
    assert "Listed" not in found.told()
