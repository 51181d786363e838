"""The life of an instance: its states, its orders, and which of them are refused."""

from collections.abc import Callable
from functools import partial

import pytest
from agent_adapter.drain import DrainLimits
from agent_adapter.lifecycle import Action, Lifecycle
from agent_contract.problems import Problem
from agent_contract.wire import DrainReason

from tests.adapter.hand_clock import HandClock

Build = Callable[..., Lifecycle]


@pytest.fixture
def changes() -> list[str]:
    """Give the list to which each change adds the state."""
    return []


@pytest.fixture
def build(clock: HandClock, changes: list[str]) -> Build:
    """Give a maker of lifecycles that are up, unless told otherwise."""

    def make(*, up: bool = True, **limits: float) -> Lifecycle:
        life = Lifecycle(clock, DrainLimits(**{"timeout_seconds": 30, **limits}), lambda: changes.append(life.state))
        if up:
            life.come_up()
        return life

    return make


def refused(call: Callable[[], object]) -> tuple[str, int]:
    """Give code and status of the problem that a call raises."""
    with pytest.raises(Problem) as caught:
        call()
    return caught.value.code, caught.value.status


def test_it_starts_runs_pauses_and_goes_on(build: Build) -> None:
    """The states of a life without a drain."""
    life = build(up=False)
    assert (life.state, life.takes_work) == ("starting", False)
    life.come_up()
    assert (life.state, life.takes_work) == ("running", True)
    life.act("pause")
    assert (life.state, life.takes_work) == ("paused", False)
    life.act("resume")
    assert (life.state, life.takes_work) == ("running", True)


def test_it_drains_and_ends(build: Build) -> None:
    """An order to leave is `stopping` at once, and `stopped` when the process goes."""
    life = build()
    seen: list[tuple[str, bool]] = []
    for step in (partial(life.act, "stop"), life.begin_leaving, life.end):
        step()
        seen.append((life.state, life.takes_work))
    assert seen == [("stopping", False), ("stopping", False), ("stopped", False)]


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_a_repeated_order_changes_nothing(build: Build, clock: HandClock, action: Action) -> None:
    """`pause` when paused and `resume` when running are fine; `since` stays."""
    life = build()
    life.act(action)
    state, since = life.state, life.since
    clock.advance(5)
    life.act(action)
    assert (life.state, life.since) == (state, since)


def test_since_is_when_the_state_began(build: Build, clock: HandClock) -> None:
    """It moves with the state and with nothing else."""
    life = build()
    clock.advance(5)
    life.act("stop")
    began = life.since
    clock.advance(5)
    life.act("stop", 60)
    assert (began, life.since) == (clock.now - 5, clock.now - 5)


def test_a_pause_while_starting_is_kept(build: Build) -> None:
    """It comes up paused, and never runs in between."""
    life = build(up=False)
    life.act("pause")
    assert (life.state, life.takes_work) == ("starting", False)
    life.come_up()
    assert (life.state, life.takes_work) == ("paused", False)


@pytest.mark.parametrize("action", ["pause", "resume"])
@pytest.mark.parametrize("order", ["stop", "restart", "signal"])
def test_a_drain_refuses_pause_and_resume(build: Build, order: DrainReason, action: Action) -> None:
    """The earlier system answered 200 and went back to `running` while it was leaving."""
    life = build()
    life.leave(order)
    assert refused(lambda: life.act(action)) == ("stopping", 409)
    assert life.state == "stopping"


@pytest.mark.parametrize("paused", [False, True])
def test_calling_the_drain_off_goes_back_to_the_state_before(build: Build, *, paused: bool) -> None:
    """A paused instance is paused again, a running one runs."""
    life = build()
    if paused:
        life.act("pause")
    life.act("restart")
    life.call_off()
    assert (life.state, life.takes_work, life.drain) == ("paused" if paused else "running", not paused, None)


def test_a_signal_cannot_be_called_off(build: Build) -> None:
    """The platform will kill; also when the signal came second."""
    first, second = build(), build()
    first.leave("signal")
    second.act("stop")
    second.leave("signal")
    assert refused(first.call_off) == refused(second.call_off) == ("signalled", 409)


def test_steering_needs_a_drain(build: Build) -> None:
    """Without one, both ways of steering say so; so they do when it is over."""
    life = build()
    assert refused(life.call_off) == refused(lambda: life.reschedule(5)) == ("not-draining", 409)
    life.act("stop")
    life.begin_leaving()
    assert refused(life.call_off) == refused(lambda: life.reschedule(5)) == ("not-draining", 409)


def test_a_stop_that_comes_as_the_process_goes_still_ends_a_restart(build: Build) -> None:
    """Until the very end the last word is to leave; nothing but that changes any more."""
    orders: tuple[DrainReason, ...] = ("stop", "signal")
    for order in orders:
        life = build()
        life.act("restart")
        life.begin_leaving()
        assert life.drain is not None
        deadline = life.drain.deadline
        life.leave(order, 500)
        assert (life.drain.reason, life.drain.restarts, life.drain.deadline) == (order, False, deadline)
        life.act("restart")
        assert not life.drain.restarts


def test_new_work_is_taken_in_the_quiet_period_of_a_signal(build: Build, clock: HandClock) -> None:
    """Callers whose view lags lose nothing; then it is refused."""
    life = build(quiet_seconds=2)
    life.leave("signal")
    assert (life.state, life.takes_work) == ("stopping", True)
    clock.advance(2)
    assert not life.takes_work


def test_a_paused_instance_takes_no_work_in_a_quiet_period(build: Build) -> None:
    """It took none before."""
    life = build(quiet_seconds=2)
    life.act("pause")
    life.leave("signal")
    assert not life.takes_work


def test_every_change_is_told_as_it_happens(build: Build, changes: list[str]) -> None:
    """Whoever is told reads the new state; the answers of the order itself depend on it."""
    life = build(up=False)
    life.come_up()
    life.act("pause")
    life.act("stop")
    life.call_off()
    life.leave("signal")
    life.end()
    assert changes == ["running", "paused", "stopping", "paused", "stopping", "stopped"]
