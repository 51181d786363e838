"""The drain: its deadline, its quiet period, and what one more order makes of it."""

import pytest
from agent_adapter import drain as drains
from agent_adapter.drain import LEAVING_SECONDS, Drain, DrainLimits
from agent_contract.problems import Problem
from agent_contract.wire import DrainReason

NOW = 1000.0
LIMITS = DrainLimits(timeout_seconds=30)
GRACE = DrainLimits(timeout_seconds=30, grace_seconds=20)
LATEST = NOW + 20 - LEAVING_SECONDS


def begun(reason: DrainReason, timeout_seconds: float | None = None, limits: DrainLimits = LIMITS) -> Drain:
    """Give a drain that began at NOW."""
    return drains.begin(reason, NOW, timeout_seconds, limits)


@pytest.mark.parametrize("reason", ["stop", "restart", "signal"])
def test_a_drain_lasts_as_configured(reason: DrainReason) -> None:
    """Whatever ordered it, the deadline is `drainTimeoutSeconds` from the order."""
    drain = begun(reason)
    assert (drain.reason, drain.since, drain.deadline) == (reason, NOW, NOW + 30)


def test_an_order_brings_its_own_timeout() -> None:
    """An action's `timeoutSeconds` overrides the configured one for that drain, 0 too."""
    assert begun("stop", 5).deadline == NOW + 5
    assert begun("restart", 0).deadline == NOW


@pytest.mark.parametrize("reason", ["stop", "restart"])
def test_only_a_signal_brings_a_quiet_period(reason: DrainReason) -> None:
    """A caller that ordered the drain knows of it; one whose view lags behind a signal does not."""
    limits = DrainLimits(timeout_seconds=30, quiet_seconds=2)
    assert begun(reason, limits=limits).quiet_until == NOW
    assert begun("signal", limits=limits).quiet_until == NOW + 2


def test_the_quiet_period_lies_inside_the_drain() -> None:
    """It ends at the deadline at the latest, also when the deadline is moved before its end."""
    limits = DrainLimits(timeout_seconds=1, quiet_seconds=2)
    assert begun("signal", limits=limits).quiet_until == NOW + 1
    drain = begun("signal", limits=DrainLimits(timeout_seconds=30, quiet_seconds=20))
    assert drains.reschedule(drain, NOW + 1, 2, LIMITS).quiet_until == NOW + 3
    assert drains.meet(drain, "stop", NOW + 1, 2, LIMITS).quiet_until == NOW + 3


def test_after_a_signal_no_deadline_lies_behind_the_platforms_grace() -> None:
    """The deadline leaves 3 s of `TERMINATION_GRACE_SECONDS` for the way out."""
    assert begun("signal", limits=GRACE).deadline == LATEST
    assert begun("signal", limits=DrainLimits(timeout_seconds=30, grace_seconds=1)).deadline == NOW


@pytest.mark.parametrize("reason", ["stop", "restart"])
def test_the_grace_says_nothing_of_a_drain_without_a_signal(reason: DrainReason) -> None:
    """Nobody will kill the process: it may drain as long as its operator allows."""
    assert begun(reason, 300, GRACE).deadline == NOW + 300
    assert drains.reschedule(begun(reason, limits=GRACE), NOW, 300, GRACE).deadline == NOW + 300


def test_a_stop_makes_a_restart_a_stop() -> None:
    """The last word is to leave; the deadline stays."""
    drain = drains.meet(begun("restart"), "stop", NOW + 1, None, LIMITS)
    assert (drain.reason, drain.restarts, drain.deadline, drain.since) == ("stop", False, NOW + 30, NOW)


def test_a_signal_makes_a_restart_a_stop() -> None:
    """A process that was told to go does not come back by itself."""
    drain = drains.meet(begun("restart"), "signal", NOW + 1, None, LIMITS)
    assert (drain.reason, drain.restarts) == ("signal", False)


@pytest.mark.parametrize("late", ["stop", "restart"])
@pytest.mark.parametrize("first", ["stop", "signal"])
def test_a_stop_or_restart_during_a_stop_changes_nothing(first: DrainReason, late: DrainReason) -> None:
    """It is already leaving; a restart does not bring it back."""
    drain = begun(first)
    assert drains.meet(drain, late, NOW + 7, None, LIMITS) == drain


@pytest.mark.parametrize("late", ["stop", "restart"])
@pytest.mark.parametrize("first", ["stop", "restart", "signal"])
def test_a_late_order_with_a_timeout_moves_the_deadline(first: DrainReason, late: DrainReason) -> None:
    """Sooner or later than before, counted from the late order."""
    assert drains.meet(begun(first), late, NOW + 7, 100, LIMITS).deadline == NOW + 107
    assert drains.meet(begun(first), late, NOW + 7, 1, LIMITS).deadline == NOW + 8


def test_a_late_order_cannot_move_the_deadline_behind_the_grace() -> None:
    """After a signal the platform's bound holds for every later order."""
    assert drains.meet(begun("signal", limits=GRACE), "stop", NOW + 1, 100, GRACE).deadline == LATEST


@pytest.mark.parametrize(
    ("ordered", "at", "deadline"), [(5, NOW + 1, NOW + 5), (300, NOW + 1, NOW + 31), (300, NOW + 280, NOW + 300)]
)
def test_a_first_signal_takes_the_earlier_deadline(ordered: float, at: float, deadline: float) -> None:
    """The present deadline, or `drainTimeoutSeconds` from the signal, whichever comes first."""
    drain = drains.meet(begun("stop", ordered), "signal", at, None, LIMITS)
    assert (drain.reason, drain.deadline, drain.signalled_at) == ("signal", deadline, at)


def test_a_signal_during_another_drain_brings_no_quiet_period() -> None:
    """Who ordered the drain has already seen `stopping`; new work is not taken again."""
    limits = DrainLimits(timeout_seconds=30, quiet_seconds=2)
    drain = drains.meet(begun("stop", limits=limits), "signal", NOW + 1, None, limits)
    assert drain.quiet_until == NOW


def test_a_signal_during_another_drain_is_bounded_by_the_grace() -> None:
    """The grace counts from the signal, not from the order before it."""
    drain = drains.meet(begun("stop", 300), "signal", NOW + 10, None, GRACE)
    assert drain.deadline == LATEST + 10


def test_a_second_signal_changes_nothing() -> None:
    """The kubelet may repeat its sequence after its own restart."""
    drain = begun("signal")
    assert drains.meet(drain, "signal", NOW + 5, None, LIMITS) == drain


def test_rescheduling_moves_the_deadline_both_ways() -> None:
    """`PATCH /drain` counts from now."""
    drain = begun("stop")
    assert drains.reschedule(drain, NOW + 10, 300, LIMITS).deadline == NOW + 310
    assert drains.reschedule(drain, NOW + 10, 0, LIMITS).deadline == NOW + 10


def test_rescheduling_behind_the_grace_is_refused() -> None:
    """The answer says how much the platform still grants, and that much is accepted."""
    drain = begun("signal", limits=GRACE)
    with pytest.raises(Problem, match="cannot extend to 60 s") as caught:
        drains.reschedule(drain, NOW + 4, 60, GRACE)
    most = caught.value.extra["maxTimeoutSeconds"]
    assert (caught.value.code, caught.value.status, most) == ("over-grace", 409, 13)
    assert drains.reschedule(drain, NOW + 4, most, GRACE).deadline == LATEST
