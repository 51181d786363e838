"""What workloads say: that an agent is known, how many it is to be, what was ordered, and where nobody may look."""

import pytest
from agent_contract.problems import Problem
from agent_contract.wire import DesiredState, ProblemState

from tests.manager.pod_stage import DENIED, PodStage, url_in
from tests.manager.stage import EPOCH

IP = "10.1.0.1"


@pytest.fixture
def stage() -> PodStage:
    """Give a registry that has been there for a while."""
    stage = PodStage()
    stage.pass_time(31)
    return stage


def desired(stage: PodStage) -> tuple[DesiredState, bool]:
    """Give what is ordered, and whether nobody's mere word overrides it."""
    record = stage.agent("a")
    return record.desired_state, record.ordered


# --- known by a workload ----------------------------------------------------------------------------------------------


def test_workload_makes_an_agent_known_without_a_pod(stage: PodStage) -> None:
    """It is `stopped`, and so many are to be."""
    stage.workload(replicas=0)
    record = stage.agent("a")
    assert (record.state, record.desired_instances, record.sources) == ("stopped", 0, ["kubernetes"])
    stage.workload(replicas=3)
    stage.workload("w2", replicas=2, kind="StatefulSet")
    assert record.desired_instances == 5


def test_agent_is_known_as_long_as_its_workload_is(stage: PodStage) -> None:
    """Then it is forgotten as others are."""
    stage.workload(replicas=0)
    stage.pass_time(1000)
    assert stage.registry.find("a") is not None
    stage.workload_gone()
    assert stage.agent("a").desired_instances is None
    stage.pass_time(29.75)
    assert stage.registry.find("a") is not None
    stage.pass_time(0.25)
    assert stage.registry.find("a") is None


def test_agent_is_known_as_long_as_a_pod_of_it_is(stage: PodStage) -> None:
    """A pod may be one of no workload, and never have a process."""
    stage.pod("p1")
    stage.pass_time(1000)
    assert stage.registry.find("a") is not None
    stage.pod_gone("p1")
    stage.pass_time(30)
    assert stage.registry.find("a") is None


def test_workload_ends_the_countdown_of_its_agent(stage: PodStage) -> None:
    """It was removed and made anew."""
    stage.workload()
    stage.workload_gone()
    stage.pass_time(20)
    stage.workload("w2")
    stage.pass_time(20)
    assert stage.agent("a").desired_instances == 1


def test_workload_of_another_agent_now_is_another_workload(stage: PodStage) -> None:
    """Somebody changed its label."""
    stage.workload(replicas=2)
    stage.workload(replicas=2, agent_id="b")
    assert (stage.agent("a").desired_instances, stage.agent("b").desired_instances) == (None, 2)


def test_status_that_listings_do_not_show_is_no_change(stage: PodStage) -> None:
    """A controller writes the status of its workload at every step of a pod."""
    stage.workload()
    stage.changes.clear()
    stage.workload(rolling=True, generation=7)
    stage.workload(kept_replicas=3)
    assert stage.changes == []


# --- ordered through a workload ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["running", "paused", "stopped"])
def test_order_on_a_workload_is_taken_over(stage: PodStage, state: DesiredState) -> None:
    """Also by a manager that has just come: this is what outlives it."""
    stage.workload(replicas=0, desired_state=state)
    assert desired(stage) == (state, True)
    stage.register("a1", url_in(IP), desired="paused")
    assert desired(stage)[1], "what an adapter was told is older"


def test_order_that_is_taken_over_is_in_the_journal_once(stage: PodStage) -> None:
    """With the workload that says so."""
    stage.workload(desired_state="paused")
    stage.workload(desired_state="paused", replicas=2)
    assert stage.journal.codes.count("desired-paused") == 1
    assert stage.journal.messages[-1] == "a is to be paused, as Deployment prod/w1 says"


def test_workload_that_says_nothing_orders_nothing(stage: PodStage) -> None:
    """What an adapter remembers counts then."""
    stage.register("a1", desired="paused")
    stage.workload()
    assert desired(stage) == ("paused", False)


def test_late_sight_of_the_workload_does_not_undo_an_order(stage: PodStage) -> None:
    """The watch lags behind what was written a moment ago."""
    stage.workload(desired_state="running")
    stage.registry.set_desired_state("a", "paused", by="ada")
    stage.workload(desired_state="running", replicas=2)
    assert desired(stage) == ("paused", True)
    stage.workload(desired_state="paused", replicas=2)
    assert desired(stage) == ("paused", True)
    assert stage.journal.codes.count("desired-paused") == 1


def test_order_of_another_manager_is_taken_over(stage: PodStage) -> None:
    """Whatever was ordered here before."""
    stage.workload(desired_state="running")
    stage.registry.set_desired_state("a", "paused", by="ada")
    stage.workload(desired_state="paused")
    stage.workload(desired_state="running")
    assert desired(stage) == ("running", True)


def test_annotation_that_is_taken_away_means_running(stage: PodStage) -> None:
    """As if it had been resumed; an adapter that was paused does not bring it back."""
    stage.workload(desired_state="paused")
    stage.workload()
    assert desired(stage) == ("running", True)
    stage.register("a1", desired="paused")
    assert desired(stage) == ("running", True)


def test_stopped_workload_that_was_scaled_by_hand_runs(stage: PodStage) -> None:
    """Whoever did so wants it to run; and it is stopped again when it is scaled back."""
    stage.workload(replicas=0, desired_state="stopped")
    stage.workload(replicas=2, desired_state="stopped")
    assert desired(stage) == ("running", True)
    stage.workload(replicas=0, desired_state="stopped")
    assert desired(stage) == ("stopped", True)


def test_order_outlives_the_workload(stage: PodStage) -> None:
    """Its pods go on for a while, and another of the same agent may come."""
    stage.workload(desired_state="paused")
    stage.workload_gone()
    stage.workload("w2")
    assert desired(stage) == ("paused", True)


# --- the end of a stop ------------------------------------------------------------------------------------------------


def test_old_pods_do_not_end_a_stop(stage: PodStage) -> None:
    """One that is leaving, one that is not yet, and the last words of one that is gone."""
    stage.workload(replicas=0, desired_state="stopped")
    stage.pod("p1", IP, leaving=True)
    stage.register("a1", url_in(IP))
    stage.pod("p2", "10.1.0.2")
    stage.register("a2", url_in("10.1.0.2"))
    stage.pod_gone("p2")
    stage.register("a2", url_in("10.1.0.2"))
    assert desired(stage) == ("stopped", True)


def test_pod_that_leaves_does_not_end_a_stop_without_a_workload(stage: PodStage) -> None:
    """The manager may not look at workloads, or there is none."""
    stage.pod("p1", IP)
    stage.registry.set_desired_state("a", "stopped", by=None)
    stage.pod("p1", IP, leaving=True)
    stage.register("a1", url_in(IP))
    assert desired(stage) == ("stopped", True)
    stage.pod("p2", "10.1.0.2")
    stage.register("a2", url_in("10.1.0.2"))
    assert desired(stage) == ("running", False)


def test_pod_of_a_workload_that_was_never_stopped_ends_a_stop(stage: PodStage) -> None:
    """Somebody runs the agent by other means than ours."""
    stage.workload(replicas=0, desired_state="stopped")
    stage.workload("w2", replicas=1)
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP))
    assert desired(stage) == ("running", False)


# --- rollouts and refusals --------------------------------------------------------------------------------------------


def problem_of(stage: PodStage, agent_id: str = "a") -> ProblemState:
    """Give the agent's problem."""
    problem = stage.agent(agent_id).problem
    assert problem is not None
    return problem


def test_rollout_of_a_paused_agent_waits_and_says_so(stage: PodStage) -> None:
    """Its new pods are paused, so never ready; it goes on when the agent is resumed."""
    stage.workload(rolling=True)
    assert stage.agent("a").problem is None
    stage.registry.set_desired_state("a", "paused", by=None)
    since = stage.wall()
    assert problem_of(stage) == ProblemState(
        "rollout-waits",
        "the rollout of Deployment prod/w1 waits: pods of a paused agent are not ready; resume it to go on",
        since,
    )
    stage.clock.now += 5
    stage.pod("p1")
    assert problem_of(stage).since == since
    stage.registry.set_desired_state("a", "running", by=None)
    assert stage.agent("a").problem is None


def test_rollout_that_begins_while_paused_is_told_at_once(stage: PodStage) -> None:
    """And it is over when the workload says so."""
    stage.workload(desired_state="paused")
    stage.changes.clear()
    stage.workload(desired_state="paused", rolling=True)
    assert (stage.changes, problem_of(stage).code) == (["a"], "rollout-waits")
    stage.workload(desired_state="paused")
    assert stage.agent("a").problem is None


def test_namespace_that_is_denied_is_a_problem_of_its_agents(stage: PodStage) -> None:
    """Whether a pod or a workload of theirs is there; until the manager is let in again."""
    stage.workload()
    stage.pod("p1", agent_id="b")
    stage.pod("p2", agent_id="c", namespace="test")
    stage.register("d1")
    stage.changes.clear()
    stage.denied()
    assert sorted(stage.changes) == ["a", "b"]
    assert (problem_of(stage), problem_of(stage, "b")) == (DENIED, DENIED)
    assert (stage.agent("c").problem, stage.agent("d").problem) == (None, None)
    stage.denied()
    assert len(stage.changes) == 2
    stage.denied(None)
    assert (stage.agent("a").problem, stage.agent("b").problem) == (None, None)
    assert len(stage.changes) == 4


def test_refusal_that_is_told_again_keeps_its_time(stage: PodStage) -> None:
    """It is the same one, tried again."""
    stage.pod("p1")
    stage.denied()
    stage.denied(ProblemState(DENIED.code, DENIED.detail, stage.wall()))
    assert problem_of(stage).since == EPOCH


def test_agent_that_comes_to_a_denied_namespace_has_the_problem(stage: PodStage) -> None:
    """Its workloads may still be seen; when they are gone it is no concern of it."""
    stage.denied()
    stage.workload()
    stage.pod("p1", namespace="test")
    assert problem_of(stage) == DENIED
    stage.workload_gone()
    assert stage.agent("a").problem is None


def test_what_concerns_the_whole_agent_comes_first(stage: PodStage) -> None:
    """That it flaps, that nobody may look, that a rollout waits, then the oldest of its parts."""
    stage.workload(desired_state="paused", rolling=True)
    stage.pod("p1", problem=ProblemState("pending", "no node was found", EPOCH))
    assert problem_of(stage).code == "rollout-waits"
    stage.denied()
    assert problem_of(stage).code == "rbac-denied"
    for _ in range(5):
        stage.register("a1")
        stage.registry.probe_failed(stage["a1"], "refused", refused=True)
        stage.answer("a1")
    assert problem_of(stage).code == "flapping"


def test_order_for_an_agent_that_only_a_workload_knows(stage: PodStage) -> None:
    """It is known, so it can be ordered; another one is not."""
    stage.workload(replicas=0)
    stage.registry.set_desired_state("a", "paused", by="ada")
    assert desired(stage) == ("paused", True)
    with pytest.raises((Problem, KeyError)):
        stage.registry.set_desired_state("b", "paused", by="ada")
