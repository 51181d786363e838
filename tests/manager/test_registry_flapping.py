"""An agent that comes and goes: bounded changes of routing, and a listing that says so."""

from typing import Literal

import pytest
from agent_contract.config import Agent

from tests.manager.stage import Stage, drain, report

URL = "http://127.0.0.1:8100"


@pytest.fixture
def stage() -> Stage:
    """Give a registry with one configured agent."""
    stage = Stage([Agent(id="a", port=8100)])
    stage.pass_time(31)
    return stage


def crash_loop(stage: Stage, times: int, *, first: int = 1, up: float = 3, down: float = 3) -> int:
    """Let the agent come and go; gives how often routing changed."""
    changes = 0
    for number in range(first, first + times):
        stage.register(f"a{number}", URL)
        stage.answer(f"a{number}")
        changes += stage[f"a{number}"].routable
        stage.pass_time(up)
        stage.registry.probe_failed(stage[f"a{number}"], "refused", refused=True)
        changes += stage[f"a{number}"].routable is False and changes % 2
        stage.pass_time(down)
    return changes


def test_agent_up_and_down_every_three_seconds_changes_routing_a_few_times(stage: Stage) -> None:
    """In five minutes of that, calls follow the first turns only, and the agent is flagged."""
    assert crash_loop(stage, 50) <= 10
    problem = stage.agent("a").problem
    assert problem is not None
    assert problem.code == "flapping"
    assert stage.journal.codes.count("flapping") == 1


def test_flapping_shows_at_the_instance_and_while_none_is_there(stage: Stage) -> None:
    """Whoever looks sees why a running instance is not called."""
    crash_loop(stage, 5)
    stage.register("a9", URL)
    instance = stage["a9"]
    assert (instance.state, instance.reachable, instance.routable) == ("running", True, False)
    assert instance.problem is not None
    assert instance.problem.code == "flapping"
    stage.unregister("a9")
    assert stage.agent("a").problem is not None


def test_steady_instance_is_called_again(stage: Stage) -> None:
    """After five seconds without a loss."""
    crash_loop(stage, 5)
    stage.register("a9", URL)
    stage.changes.clear()
    stage.pass_time(4.75)
    assert not stage["a9"].routable
    stage.pass_time(0.25)
    assert stage["a9"].routable
    assert stage.agent("a").problem is None
    assert stage.changes == ["a"]


def test_flag_falls_a_minute_after_the_last_loss(stage: Stage) -> None:
    """Also where nothing comes back."""
    crash_loop(stage, 5)
    stage.pass_time(55)
    assert stage.agent("a").flapping is not None
    stage.pass_time(5)
    assert stage.agent("a").flapping is None


@pytest.mark.parametrize("reason", ["restart", "signal"])
def test_ordered_restarts_are_no_flaps(stage: Stage, reason: Literal["restart", "signal"]) -> None:
    """Fifty restarts by the manager, or by signals of the platform, route as ever: each drained and took its leave."""
    for number in range(1, 51):
        stage.register(f"a{number}", URL)
        assert stage[f"a{number}"].routable
        stage.pass_time(1)
        stage.beat(f"a{number}", "stopping", drain=drain(0, reason))
        stage.unregister(f"a{number}", report(reason=reason))
    assert stage.agent("a").problem is None


def test_leaving_in_order_without_a_beat_before_is_no_flap(stage: Stage) -> None:
    """The last word alone says that it was told to leave: an idle instance is gone before its beat is read."""
    for number in range(1, 11):
        stage.register(f"a{number}", URL)
        assert stage[f"a{number}"].routable
        stage.unregister(f"a{number}", report(reason="signal"))
    assert stage.agent("a").problem is None


def test_few_losses_are_no_flaps(stage: Stage) -> None:
    """Four in a minute, or many over hours, are just losses."""
    crash_loop(stage, 4)
    stage.pass_time(60)
    crash_loop(stage, 20, first=10, up=10, down=10)
    assert stage.agent("a").flapping is None


def test_each_address_counts_for_itself(stage: Stage) -> None:
    """The other instance of a flapping agent is called as ever."""
    stage.register("a100", "http://127.0.0.1:8200")
    crash_loop(stage, 4)
    stage.beat("a100")
    crash_loop(stage, 1, first=5)
    assert stage.agent("a").flapping is not None
    assert stage.registry.pick("a") is stage["a100"]


def test_reachability_that_comes_and_goes_flaps(stage: Stage) -> None:
    """One process that stops answering every few seconds is the same to callers."""
    instance = stage.register("a1", URL)
    for _ in range(5):
        stage.registry.probe_failed(instance, "refused", refused=True)
        stage.pass_time(3)
        stage.answer("a1")
        stage.pass_time(1)
    assert instance.reachable
    assert not instance.routable
    stage.pass_time(4)
    assert instance.routable


def test_memory_of_addresses_is_bounded(stage: Stage) -> None:
    """An agent whose instances get a new address each time does not fill the manager."""
    slots = stage.registry._roster.slots
    for number in range(50_001):
        slots.begin("b", (str(number), number), 0.0)  # type: ignore[arg-type]  # any key
    assert len(slots._slots) == 50_000
