"""Pods in listings: a member of their process, or an instance of their own; and what is told when they change."""

import asyncio
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from agent_contract.wire import ProblemState
from agent_manager.discovery.events import PodSeen
from agent_manager.listing import Listing

from tests.manager.pod_stage import OUT_OF_MEMORY, PodStage, make_pod, url_in
from tests.manager.stage import CRASHED, EPOCH

EXPECTED = Path(__file__).parent / "listing_pods.json"
IP = "10.1.0.1"
UNPULLED = ProblemState("image-pull", "cannot get the image planner:9 of container agent: ErrImagePull", EPOCH)


@pytest.fixture
def stage() -> PodStage:
    """Give a registry that knows nobody."""
    return PodStage()


@pytest.fixture
def listing(stage: PodStage) -> Listing:
    """Give its listing."""
    return Listing(stage.registry)


def instances(listing: Listing) -> list[dict[str, Any]]:
    """Give the instances of agent `a`."""
    found: list[dict[str, Any]] = json.loads(listing.agent("a") or b"")["instances"]
    return found


def test_listing_shows_pods_as_promised(stage: PodStage, listing: Listing) -> None:
    """The text is that of the file beside this test, byte for byte but for its line breaks."""
    facts = {"node": "node-1", "image": "planner:1", "ready": True}
    stage.workload(replicas=3)
    stage.workload("w2", replicas=0, agent_id="idle", desired_state="stopped")
    stage.pod("p1", IP, restarts=3, reason="OOMKilled", problem=OUT_OF_MEMORY, **facts)
    stage.register("a1", url_in(IP), metadata={"version": "1.2"})
    stage.pod("p2", "10.1.0.2", leaving=True, node="node-2", image="planner:1")
    stage.pod("p3", image="planner:9", reason="ErrImagePull", problem=UNPULLED)
    stage.register("b1", "http://10.9.0.1:8100")
    assert json.dumps(json.loads(listing.whole()), indent=2) + "\n" == EXPECTED.read_text()


def test_restarts_are_the_larger_of_two_counts(stage: PodStage, listing: Listing) -> None:
    """The manager counts processes, also those that replaced themselves; the kubelet counts containers."""
    stage.pod("p1", IP)
    for number in range(1, 4):
        stage.register(f"a{number}", url_in(IP))
    assert (instances(listing)[0]["restarts"], instances(listing)[0]["pod"]["restarts"]) == (2, 0)
    stage.pod("p1", IP, restarts=7)
    assert (instances(listing)[0]["restarts"], instances(listing)[0]["pod"]["restarts"]) == (7, 7)


def test_what_the_platform_says_explains_more_than_silence(stage: PodStage) -> None:
    """Nobody answers, because the container was killed; its own word and our observations come after."""
    stage.pod("p1", IP)
    instance = stage.register("a1", url_in(IP))
    stage.beat("a1", problem=CRASHED)
    assert instance.problem == CRASHED
    stage.registry.probe_failed(instance, "refused", refused=True)
    assert instance.problem is not None
    assert instance.problem.code == "unreachable"
    stage.pod("p1", IP, problem=OUT_OF_MEMORY)
    assert instance.problem == OUT_OF_MEMORY


def test_agents_problem_is_the_oldest_of_instances_and_pods(stage: PodStage) -> None:
    """A pod without a process has one as an instance has."""
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP))
    stage.pod("p2", problem=ProblemState("pending", "no node was found", EPOCH + timedelta(hours=1)))
    assert stage.agent("a").problem == stage.agent("a").bare_pods["p2"].problem
    stage.beat("a1", problem=CRASHED)
    assert stage.agent("a").problem == CRASHED


def test_agent_with_pods_alone_is_as_they_are(stage: PodStage) -> None:
    """`stopping` counts before `starting`, and an instance that runs before both."""
    stage.pod("p1")
    assert (stage.agent("a").state, stage.agent("a").states) == ("starting", ["starting"])
    stage.pod("p2", leaving=True)
    assert stage.agent("a").state == "stopping"
    stage.register("a1")
    assert (stage.agent("a").state, stage.agent("a").states) == ("running", ["running", "starting", "stopping"])


def test_pods_without_a_process_are_never_called(stage: PodStage) -> None:
    """Nor probed, nor counted as ready."""
    stage.pod("p1", IP, ready=True)
    assert (stage.registry.pick("a"), stage.ids(), stage.agent("a").unroutable_since) == (None, [], 1000.0)


def test_each_change_that_is_shown_is_told_once(stage: PodStage) -> None:
    """And nothing else: a kubelet rewrites the status of each pod again and again."""
    stage.pod("p1")
    stage.pod("p2", "10.1.0.2")
    stage.register("a2", url_in("10.1.0.2"))
    changes: list[dict[str, Any]] = [{"node": "n"}, {"ready": True}, {"restarts": 1}, {"reason": "Error"}]
    changes += [{"problem": OUT_OF_MEMORY}, {"image": "planner:2"}, {"leaving": True}]
    for uid, ip in (("p1", None), ("p2", "10.1.0.2")):
        facts: dict[str, Any] = {}
        for change in changes:
            facts |= change
            stage.changes.clear()
            stage.pod(uid, ip, **facts)
            assert stage.changes == ["a"], change
            stage.pod(uid, ip, **facts)
            stage.pod(uid, ip, **(facts | {"running": True}))
            stage.pod(uid, ip, **facts)
            assert stage.changes == ["a"], change


def test_pod_that_takes_in_its_process_is_one_change(stage: PodStage) -> None:
    """Whoever watches sees the instance with its pod, and the pod no more."""
    stage.register("a1", url_in(IP))
    stage.changes.clear()
    stage.pod("p1", IP)
    assert stage.changes == ["a"]


async def test_who_waits_is_woken_by_a_change_that_is_not_shown(stage: PodStage) -> None:
    """An action waits until the watch has seen what it ordered."""
    stage.workload(generation=1)
    async with asyncio.timeout(5):
        waits = asyncio.create_task(stage.registry.changed("a", 60))
        await asyncio.sleep(0)
        stage.changes.clear()
        stage.workload(generation=2)
        await waits
    assert stage.changes == []


def test_kept_text_has_the_latest_words_between_pods(stage: PodStage, listing: Listing) -> None:
    """What was last heard of each process stands at its own, also where a pod without one is listed after it."""
    for number in (1, 2):
        stage.pod(f"p{number}", f"10.1.0.{number}")
        stage.register(f"a{number}", url_in(f"10.1.0.{number}"))
    stage.pod("p3")
    listing.whole()
    stage.clock.now += 5
    stage.beat("a2")
    seen = [(one["instanceId"], one["lastSeen"]) for one in instances(listing)]
    assert seen == [("a1", "2026-01-01T00:16:40Z"), ("a2", "2026-01-01T00:16:45Z"), ("p3", None)]


# --- the journal ------------------------------------------------------------------------------------------------------


def test_problem_of_a_pod_is_in_the_journal_once_each_time_that_it_begins(stage: PodStage) -> None:
    """What the kubelet counts on meanwhile is the same problem."""
    stage.pod("p1", problem=OUT_OF_MEMORY)
    stage.pod("p1", problem=ProblemState(OUT_OF_MEMORY.code, "restarted 4 times", EPOCH))
    stage.pod("p1")
    stage.pod("p1", problem=ProblemState(OUT_OF_MEMORY.code, "restarted 5 times", EPOCH + timedelta(minutes=5)))
    assert stage.journal.codes == ["pod-problem", "pod-problem"]
    assert stage.journal.messages == [f"a-p1: {OUT_OF_MEMORY.detail}", "a-p1: restarted 5 times"]


# --- five thousand ----------------------------------------------------------------------------------------------------


def test_five_thousand_pods_are_a_matter_of_milliseconds() -> None:
    """They come in one list, and their kubelets write on: what changes nothing costs microseconds each."""
    stage = PodStage()
    pods = [
        make_pod(f"p{number}", f"10.{number // 250}.{number % 250}.1", agent_id=f"agent-{number // 50}x")
        for number in range(5000)
    ]
    seen = [PodSeen(pod=pod) for pod in pods]
    first = _seconds_to_apply(stage, seen)
    for number, pod in enumerate(pods):
        stage.register(f"{pod.agent_id}{number}", str(pod.origin))
    again = [PodSeen(pod=make_pod(pod.uid, pod.ip, agent_id=pod.agent_id)) for pod in pods]
    stage.changes.clear()
    second = _seconds_to_apply(stage, again)
    assert (stage.changes, len(stage.ids()), stage.bare("agent-7x")) == ([], 5000, [])
    assert first < 1.0
    assert second < 0.1


def _seconds_to_apply(stage: PodStage, events: list[PodSeen]) -> float:
    before = time.perf_counter()
    for event in events:
        stage.registry.apply(event)
    return time.perf_counter() - before
