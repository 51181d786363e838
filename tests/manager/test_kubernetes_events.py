"""What `kubectl describe` tells: orders and drains as Events of the workload and its pods."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from agent_manager.cluster.api import ClusterApi
from agent_manager.cluster.event_writer import QUEUED, EventWriter
from agent_manager.platform import Workload

from tests.manager.cluster_rig import EVENTS, ClusterRig
from tests.manager.fake_api_server import FakeApiServer, Reply, Request, failure
from tests.manager.following import ended, told
from tests.manager.manager_rig import ManagerRig
from tests.manager.stage import EPOCH


async def test_an_action_is_told_on_the_workload(leader: ManagerRig, cluster: ClusterRig) -> None:
    """That it was ordered and how it ended; every member is one that the API demands."""
    await cluster.pods("echo-1")
    await ended(leader, await leader.act("echo", "pause"))
    ordered, done = await cluster.until_events("AgentPauseOrdered", "AgentPaused")
    uid = cluster.deployment["metadata"]["uid"]
    assert done | {"metadata": None, "eventTime": None} == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": None,
        "eventTime": None,
        "type": "Normal",
        "reason": "AgentPaused",
        "action": "Pause",
        "note": "pause succeeded",
        "reportingController": "agent-manager",
        "reportingInstance": "one",
        "regarding": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "namespace": "here",
            "name": "echo",
            "uid": uid,
        },
    }
    assert ordered["note"] == "pause of 1 instance ordered"
    assert (ordered["metadata"]["namespace"], ordered["metadata"]["name"][:5]) == ("here", "echo.")
    assert ordered["metadata"]["name"] != done["metadata"]["name"]
    assert len(done["eventTime"]) == len("2026-01-01T00:00:00.000000Z")


async def test_who_ordered_it_is_told(cluster: ClusterRig, tmp_path: Any) -> None:
    """The key's name, as the action's `by`."""
    keys = tmp_path / "keys"
    keys.write_text("alice operator alice-key-of-thirty-two-characters\n")
    async with cluster.manager(environment={"MANAGER_API_KEYS_FILE": str(keys)}) as rig:
        rig.client.headers["Authorization"] = "Bearer alice-key-of-thirty-two-characters"
        await rig.act("echo", "pause")
        ordered, done = await cluster.until_events("AgentPauseOrdered", "AgentPaused")
        assert ordered["note"].endswith(", by alice")
        assert done["note"].endswith(", by alice")


async def test_an_action_for_one_instance_is_told_on_its_pod(leader: ManagerRig, cluster: ClusterRig) -> None:
    """Also when the instance is another by the time that it ends: a restart in place keeps the pod."""
    (adapter, _) = await cluster.pods("echo-1", "echo-2")
    ordered = await leader.act("echo", "restart", instanceId=adapter.instance_id)
    await told(leader, adapter)
    await leader.successor(adapter)
    await ended(leader, ordered)
    events = await cluster.until_events("AgentRestartOrdered", "AgentRestarted")
    about = [event["regarding"] for event in events]
    assert {(one["kind"], one["name"], one["apiVersion"]) for one in about} == {("Pod", "echo-1", "v1")}


async def test_an_action_that_fails_is_a_warning_with_its_reason(leader: ManagerRig, cluster: ClusterRig) -> None:
    """However long that is: the API takes 1,024 bytes, and no half of a character."""
    (adapter,) = await cluster.pods("echo-1")
    adapter.obeys = False
    await ended(leader, await leader.act("echo", "pause"))
    events = await cluster.until_events("AgentPauseFailed")
    assert [event["type"] for event in events] == ["Normal", "Warning"]
    assert "it is stopping" in events[-1]["note"]


@pytest.mark.parametrize(
    ("said", "cut", "reason", "kind", "note"),
    [
        (True, 0, "DrainClean", "Normal", "3 tasks finished, 0 were cut"),
        (True, 2, "DrainCut", "Warning", "3 tasks finished, 2 were cut"),
        (False, 0, "DrainLost", "Warning", "its last word did not come"),
    ],
)
async def test_how_a_drain_ended_is_told_on_the_pod_and_its_workload(
    leader: ManagerRig, cluster: ClusterRig, said: Any, cut: int, reason: str, kind: str, note: str
) -> None:
    """The pod is on its way out: its workload stays to be described."""
    await cluster.pods("echo-1")
    cluster.end("echo-1")
    await cluster.all_see(lambda record: record.state == "stopping")
    await cluster.gone("echo-1", said=said, cut=cut)
    await cluster.server.until(lambda: len(cluster.events()) == 2)
    events = cluster.events()
    assert {event["reason"] for event in events} == {reason}
    assert {event["type"] for event in events} == {kind}
    assert {(event["regarding"]["kind"], event["regarding"]["name"]) for event in events} == {
        ("Pod", "echo-1"),
        ("Deployment", "echo"),
    }
    assert all(event["note"].startswith("echo-1: ") and note in event["note"] for event in events)
    assert leader.manager.registry.instances == {}


async def test_only_the_leader_tells_of_drains_and_who_acts_of_actions(cluster: ClusterRig) -> None:
    """Every manager sees a pod go; nobody reads it twice."""
    async with cluster.manager("one"), cluster.manager("two") as two:
        await cluster.pods("echo-1", "echo-2")
        await two.act("echo", "pause")
        await cluster.until_events("AgentPaused")
        cluster.end("echo-1")
        await cluster.all_see(lambda record: any(pod.leaving for pod in record.pods.values()))
        await cluster.gone("echo-1")
        await cluster.all_see(lambda record: len(record.pods) == 1)
        await cluster.server.until(lambda: len(cluster.events()) >= 4)
    reasons = sorted(event["reason"] for event in cluster.events())
    assert reasons == ["AgentPauseOrdered", "AgentPaused", "DrainClean", "DrainClean"]
    assert {event["reportingInstance"] for event in cluster.events()} == {"one"}


async def test_an_agent_without_pods_is_none_of_its_business(leader: ManagerRig, cluster: ClusterRig) -> None:
    """It registered from elsewhere: there is nothing to describe."""
    await leader.adapter("elsewhere")
    await ended(leader, await leader.act("elsewhere", "pause"))
    await leader.act("echo", "pause")
    events = await cluster.until_events("AgentPaused")
    assert {event["regarding"]["name"] for event in events} == {"echo"}


# --- the writer by itself ---------------------------------------------------------------------------------------------

WORKLOAD = Workload(uid="w1", agent_id="echo", kind="StatefulSet", namespace="here", name="echo")


@asynccontextmanager
async def writing(api: ClusterApi) -> AsyncIterator[EventWriter]:
    """Give a writer that works without pauses, until the block ends."""
    writer = EventWriter(api, identity="one", wall=lambda: EPOCH, spacing_seconds=0, waits=(0.0, 0.0))
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        await asyncio.wait((task,))


def put(writer: EventWriter, note: str = "x") -> None:
    """Have an Event written."""
    writer.put(WORKLOAD, "AgentPaused", "Pause", note, warning=False)


def on_events(reply: Reply) -> Any:
    """Give what answers so to Events."""
    return lambda request: reply if request.plural == "events" else None


async def test_a_note_is_cut_between_characters(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """A longer one is refused by the API."""
    async with writing(cluster_api) as writer:
        put(writer, "x" + "\N{SNOWMAN}" * 1000)
        await api_server.until(lambda: bool(api_server.store.list(EVENTS)))
    (event,) = api_server.store.list(EVENTS)
    assert event["note"] == "x" + "\N{SNOWMAN}" * 341
    assert event["regarding"]["kind"] == "StatefulSet"


async def test_what_fails_for_a_while_is_tried_again(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """An API server that restarts costs no Event."""
    answers = [failure(500, "InternalError"), failure(429, "TooManyRequests")]
    api_server.answer = lambda _: answers.pop(0) if answers else None
    async with writing(cluster_api) as writer:
        put(writer)
        await api_server.until(lambda: bool(api_server.store.list(EVENTS)))
    assert writer.failures == {}


async def test_one_whose_answer_was_lost_is_there_once(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """It is sent again under its name, and the API server knows it."""

    def lose_answer(request: Request) -> Reply | None:
        if len(api_server.asked("create", "events")) == 1:
            api_server.store.create(request.collection, json.loads(request.body))
            return failure(503, "ServiceUnavailable")
        return None

    api_server.answer = lose_answer
    async with writing(cluster_api) as writer:
        put(writer)
        await api_server.until(lambda: len(api_server.asked("create", "events")) == 2)
    assert len(api_server.store.list(EVENTS)) == 1
    assert writer.failures == {}


async def test_what_may_not_be_written_is_said_once(
    api_server: FakeApiServer, cluster_api: ClusterApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """And counted; when it may be again, that is said too."""
    api_server.answer = on_events(failure(403, "Forbidden", "not you"))
    async with writing(cluster_api) as writer:
        for _ in range(3):
            put(writer)
        await api_server.until(lambda: len(api_server.asked("create", "events")) == 3)
        api_server.answer = lambda _: None
        put(writer)
        await api_server.until(lambda: bool(api_server.store.list(EVENTS)))
    assert writer.failures == {"Forbidden": 3}
    output = capsys.readouterr().out
    assert output.count("cannot write kubernetes events") == 1
    assert output.count("kubernetes events are written again") == 1


async def test_what_cannot_be_written_at_all_is_given_up(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """After a few tries, so that what comes after it has its turn."""
    api_server.answer = on_events(failure(500, "InternalError"))
    async with writing(cluster_api) as writer:
        put(writer)
        put(writer)
        await api_server.until(lambda: len(api_server.asked("create", "events")) == 6)
    assert writer.failures == {"InternalError": 2}


async def test_a_queue_that_is_full_drops_what_comes_then(cluster_api: ClusterApi) -> None:
    """Whoever tells of something never waits."""
    writer = EventWriter(cluster_api, identity="one", wall=lambda: EPOCH)
    for _ in range(QUEUED + 5):
        put(writer)
    assert writer.failures == {"full": 5}


async def test_what_waits_at_the_end_is_written(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """It says what was left undone: a manager that leaves has a second for it."""
    async with writing(cluster_api) as writer:
        put(writer, "first")
        await api_server.until(lambda: bool(api_server.store.list(EVENTS)))
        put(writer, "second")
        put(writer, "third")
    assert sorted(event["note"] for event in api_server.store.list(EVENTS)) == ["first", "second", "third"]


async def test_an_api_server_that_hangs_holds_up_no_exit(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """Nor does one that refuses connections: the last second is all it costs."""
    async with writing(cluster_api) as writer:
        await api_server.stop()
        put(writer)
    assert set(writer.failures) <= {"unreachable"}
