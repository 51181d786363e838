"""Where calls go: which instances can be called, and what is observed of them."""

from typing import get_args

import pytest
from agent_contract.problems import Problem
from agent_contract.wire import State

from tests.manager.stage import CRASHED, Stage, status_of

URL = "http://127.0.0.1:8100"


@pytest.fixture
def stage() -> Stage:
    """Give a registry that knows nobody."""
    return Stage()


def refused(code: str) -> "pytest.RaisesExc[Problem]":
    """Expect a problem with this code."""
    return pytest.raises(Problem, check=lambda problem: problem.code == code)


def test_pick_gives_the_one_with_the_fewest_calls(stage: Stage) -> None:
    """The fewest calls of this manager win; equals take turns; nothing else is ever given."""
    for number in range(1, 4):
        stage.register(f"a{number}")
    picked = [stage.registry.pick("a") for _ in range(6)]
    assert sorted(one.instance_id for one in picked if one) == ["a1", "a1", "a2", "a2", "a3", "a3"]
    stage["a1"].calls.add(object())  # type: ignore[arg-type]  # only their number counts
    stage["a2"].calls.add(object())  # type: ignore[arg-type]  # the same
    assert stage.registry.pick("a") is stage["a3"]
    assert stage.registry.pick("a", excluding={"a3"}) in (stage["a1"], stage["a2"])
    assert stage.registry.pick("a", excluding={"a1", "a2", "a3"}) is None
    assert stage.registry.pick("b") is None


@pytest.mark.parametrize("state", [state for state in get_args(State) if state != "running"])
def test_only_running_instances_are_picked(stage: Stage, state: State) -> None:
    """Whatever else an instance says, no call goes there."""
    stage.register("a1")
    stage.beat("a1", state)
    assert stage.registry.pick("a") is None


def test_platform_overrides_the_instances_own_word(stage: Stage) -> None:
    """An instance whose pod is being deleted is `stopping`, whatever it says."""
    instance = stage.register("a1")
    instance.platform_state = "stopping"
    stage.beat("a1", "running")
    assert instance.state == "stopping"
    assert not instance.routable


def test_unroutable_since_is_when_the_last_one_began_to_go(stage: Stage) -> None:
    """Set while no instance can take a call, from the moment that the last one could not, and not moved later."""
    stage.clock.now += 1
    stage.register("a1", status="starting")
    assert stage.agent("a").unroutable_since == stage.clock.now
    stage.beat("a1")
    assert stage.agent("a").unroutable_since is None
    stage.clock.now += 7
    stage.beat("a1", "stopping")
    since = stage.clock.now
    stage.clock.now += 2
    stage.unregister("a1")
    stage.register("a2", status="starting")
    assert stage.agent("a").unroutable_since == since


def test_one_refused_probe_ends_routing_and_nothing_else(stage: Stage) -> None:
    """The instance is unreachable, says why, and keeps its state and its place."""
    instance = stage.register("a1")
    stage.changes.clear()
    stage.registry.probe_failed(instance, "nobody listens", refused=True)
    assert stage.changes == ["a"]
    assert (instance.reachable, instance.routable, instance.state) == (False, False, "running")
    assert instance.problem is not None
    assert (instance.problem.code, instance.problem.detail) == ("unreachable", "nobody listens")
    assert stage.agent("a").problem == instance.problem
    assert stage.ids() == ["a1"]


def test_two_failed_probes_end_routing(stage: Stage) -> None:
    """One slow answer is no verdict; an answer between two failures starts the count anew."""
    instance = stage.register("a1")
    stage.registry.probe_failed(instance, "late", refused=False)
    assert instance.reachable
    stage.answer("a1")
    stage.registry.probe_failed(instance, "late", refused=False)
    assert instance.reachable
    stage.registry.probe_failed(instance, "late", refused=False)
    assert not instance.reachable


def test_beats_do_not_make_an_instance_reachable(stage: Stage) -> None:
    """Only an answered probe proves the way that calls take."""
    instance = stage.register("a1")
    stage.registry.probe_failed(instance, "refused", refused=True)
    stage.beat("a1")
    assert not instance.reachable
    stage.answer("a1")
    assert instance.routable
    assert "reachable" in stage.journal.codes


def test_probe_sent_before_a_beat_does_not_undo_it(stage: Stage) -> None:
    """An answer that was on its way when `stopping` was said does not bring the instance back."""
    instance = stage.register("a1")
    stage.clock.now += 5
    stage.beat("a1", "stopping")
    stage.clock.now += 0.1
    stage.answer("a1", "running", asked=0.2)
    assert (instance.state, instance.heard_at) == ("stopping", stage.clock.now)
    stage.answer("a1", "running", asked=0.05)
    assert (instance.state, instance.heard_at) == ("running", stage.clock.now)


def test_status_tells_tasks_and_concurrency(stage: Stage) -> None:
    """An instance that never beats is shown by its own `/status`."""
    instance = stage.see("a1")
    stage.changes.clear()
    stage.registry.observe(instance, status_of("a1", tasks=2), stage.clock.now)
    assert stage.changes == ["a"]
    assert (instance.running, instance.max_concurrency, instance.source) == (2, 4, "static")


def test_missing_beats_are_a_problem_until_the_next(stage: Stage) -> None:
    """An instance that answers probes and does not beat stays, is called, and says so."""
    instance = stage.register("a1")
    for _ in range(12):
        stage.clock.now += 5
        stage.answer("a1")
        stage.registry.sweep()
    assert instance.routable
    assert instance.problem is not None
    assert instance.problem.code == "beats-missing"
    stage.beat("a1")
    assert instance.problem is None


def test_own_problem_shows_behind_what_was_observed(stage: Stage) -> None:
    """`unreachable` comes first: what an instance says of itself is old news then."""
    instance = stage.register("a1")
    stage.beat("a1", problem=CRASHED)
    assert instance.problem == CRASHED
    stage.registry.probe_failed(instance, "refused", refused=True)
    assert instance.problem is not None
    assert instance.problem.code == "unreachable"
