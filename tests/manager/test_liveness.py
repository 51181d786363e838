"""How long silence is borne, and when it says more of the manager than of the silent."""

from datetime import timedelta

import pytest
from agent_contract.config import Agent
from agent_manager.liveness import SWEEP_SECONDS
from agent_manager.records import Timing

from tests.manager.stage import Stage, drain

GRACE = 31.0
"""The manager's own start is this long ago: silence counts again."""


@pytest.fixture
def stage() -> Stage:
    """Give a registry whose first grace is over, and that nobody is known to."""
    stage = Stage()
    stage.pass_time(GRACE)
    return stage


def test_silent_instance_is_gone_after_its_ttl(stage: Stage) -> None:
    """Not a moment before, and at the next sweep after."""
    stage.register("a1")
    stage.pass_time(30 - SWEEP_SECONDS)
    assert stage.ids() == ["a1"]
    stage.pass_time(SWEEP_SECONDS)
    assert stage.ids() == []
    assert [departure.reason for departure in stage.departures] == ["expired"]
    assert stage.journal.codes[-1] == "expired"


@pytest.mark.parametrize("word", ["beat", "register", "answer"])
def test_registration_beat_and_answered_probe_count_as_heard(stage: Stage, word: str) -> None:
    """Each keeps an instance for another TTL."""
    stage.register("a1")
    stage.pass_time(20)
    getattr(stage, word)("a1")
    stage.pass_time(29.5)
    assert stage.ids() == ["a1"]
    stage.pass_time(0.5)
    assert stage.ids() == []


def test_failed_probe_does_not_count_as_heard(stage: Stage) -> None:
    """Nor does what a source of discovery does not see any more."""
    instance = stage.register("a1")
    stage.pass_time(20)
    stage.registry.probe_failed(instance, "refused", refused=True)
    stage.pass_time(10)
    assert stage.ids() == []


def test_expired_instance_may_register_again(stage: Stage) -> None:
    """A process that was stopped for a minute and goes on is taken back with its id."""
    stage.register("a1")
    stage.pass_time(31)
    assert stage.ids() == []
    stage.register("a1")
    assert stage["a1"].restarts == 1


def test_order_of_words_decides_not_that_of_registration(stage: Stage) -> None:
    """The one silent for longest goes first, however late it came."""
    stage.register("a1")
    stage.register("b1")
    stage.pass_time(20, "a1")
    stage.pass_time(10)
    assert stage.ids() == ["a1"]


def test_stopping_instance_is_kept_for_its_drain_and_a_ttl(stage: Stage) -> None:
    """By what remained as its beat said; the wall clock of its deadline, an hour off, plays no part."""
    stage.register("a1")
    stage.beat("a1", "stopping", drain=drain(remaining=100))
    stage.pass_time(129.5)
    assert stage.ids() == ["a1"]
    stage.pass_time(0.5)
    assert stage.ids() == []
    assert stage.departures[0].outcome == "lost"


def test_extended_drain_extends_the_wait(stage: Stage) -> None:
    """The last beat counts: a deadline can be moved either way."""
    stage.register("a1")
    stage.beat("a1", "stopping", drain=drain(remaining=100))
    stage.pass_time(5)
    stage.beat("a1", "stopping", drain=drain(remaining=10))
    stage.pass_time(39.5)
    assert stage.ids() == ["a1"]
    stage.pass_time(0.5)
    assert stage.ids() == []


def test_drain_that_goes_on_is_never_cut_short(stage: Stage) -> None:
    """One that still beats after its deadline is heard of, so it stays."""
    stage.register("a1")
    for _ in range(40):
        stage.beat("a1", "stopping", drain=drain(remaining=0))
        stage.pass_time(5)
    assert stage.ids() == ["a1"]


@pytest.mark.parametrize(
    ("agent", "kept"),
    [(Agent(id="a", drain_timeout_seconds=300), 330.0), (Agent(id="a"), 60.0)],
    ids=["own", "runtime"],
)
def test_drain_without_a_deadline_has_the_configured_timeout(agent: Agent, kept: float) -> None:
    """The agent's own drain timeout, else that of the runtime; later beats that say nothing do not move it."""
    stage = Stage([agent])
    stage.pass_time(GRACE)
    stage.register("a1")
    stage.beat("a1", "stopping")
    stage.pass_time(10)
    stage.beat("a1", "stopping")
    stage.pass_time(kept - 10.5)
    assert stage.ids() == ["a1"]
    stage.pass_time(0.5)
    assert stage.ids() == []


def test_absurd_drain_does_not_keep_a_record_for_ever(stage: Stage) -> None:
    """A number that no drain may have is cut to a week."""
    stage.register("a1")
    instance = stage.beat("a1", "stopping", drain=drain(remaining=1e15))
    assert instance.kept_until == stage.clock.now + 604_800 + 30


def test_drain_called_off_ends_the_wait(stage: Stage) -> None:
    """An instance that runs again has a TTL like every other."""
    stage.register("a1")
    stage.beat("a1", "stopping", drain=drain(remaining=1000))
    stage.beat("a1", "running")
    stage.pass_time(30)
    assert stage.ids() == []


def test_nothing_is_purged_for_a_ttl_after_the_start() -> None:
    """A manager that has just come gives everyone one TTL, whatever was heard before."""
    stage = Stage()
    stage.register("a1")
    stage.register("b1")
    stage.pass_time(29.75)
    assert stage.ids() == ["a1", "b1"]
    stage.pass_time(0.25)
    assert stage.ids() == []


def test_suspended_manager_purges_nothing_for_a_ttl(stage: Stage) -> None:
    """A sweep that comes late by more than an interval shows that this process stood still."""
    stage.register("a1")
    stage.clock.now += 60
    stage.registry.sweep()
    stage.pass_time(29.5)
    assert stage.ids() == ["a1"]
    stage.pass_time(0.5)
    assert stage.ids() == []


def test_late_sweep_within_an_interval_is_no_suspension(stage: Stage) -> None:
    """A busy second does not keep the dead."""
    stage.register("a1")
    stage.pass_time(26)
    stage.clock.now += 5
    stage.registry.sweep()
    assert stage.ids() == []


def test_manager_that_was_cut_off_purges_nothing_for_a_ttl(stage: Stage) -> None:
    """The first word after a silence of all shows that it was the manager that could not hear."""
    for instance_id in ("a1", "b1", "c1"):
        stage.register(instance_id)
    stage.pass_time(20)
    stage.beat("a1")
    stage.pass_time(29.5, "a1")
    assert stage.ids() == ["a1", "b1", "c1"]
    stage.pass_time(0.5, "a1")
    assert stage.ids() == ["a1"]


def test_silence_of_two_is_no_cut(stage: Stage) -> None:
    """Fewer than three that are silent may just be gone."""
    stage.register("a1")
    stage.register("b1")
    stage.pass_time(20)
    stage.beat("a1")
    stage.pass_time(10, "a1")
    assert stage.ids() == ["a1"]


def test_wall_clock_plays_no_part(stage: Stage) -> None:
    """Two hours of wall time, forth and back, purge nobody and keep nobody."""
    stage.register("a1")
    for hours in (1, -1):
        stage.wall_offset = timedelta(hours=hours)
        stage.beat("a1")
        assert stage["a1"].last_seen == stage.wall()
    stage.pass_time(29.5)
    assert stage.ids() == ["a1"]
    stage.pass_time(0.5)
    assert stage.ids() == []


def test_sweep_of_a_large_fleet_is_quick() -> None:
    """Ten thousand in the order of their words: what is not due is not looked at."""
    stage = Stage(timing=Timing(ttl_seconds=1000, heartbeat_interval_seconds=100))
    for number in range(2000):
        stage.register(f"a{number}")
    liveness = stage.registry._roster.liveness
    looked: list[str] = []

    class Watched(dict):  # type: ignore[type-arg]  # what is iterated is written down
        def values(self):  # type: ignore[no-untyped-def]  # noqa: ANN202  # as above
            for value in super().values():
                looked.append(value.instance_id)
                yield value

    liveness._heard = Watched(liveness._heard)
    stage.pass_time(1)
    stage.registry.sweep()
    assert len(looked) <= 5
