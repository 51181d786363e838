"""Many that fall silent at once: they are kept and not called, until it is known what became of them."""

import pytest
from agent_manager.liveness import SWEEP_SECONDS

from tests.manager.stage import Stage, drain

GRACE = 31.0
"""The manager's own start is this long ago: silence counts again."""


@pytest.fixture
def stage() -> Stage:
    """Give a registry whose first grace is over, and that nobody is known to."""
    stage = Stage()
    stage.pass_time(GRACE)
    return stage


def fleet(stage: Stage, size: int) -> list[str]:
    """Register so many instances, whose last words lie within one interval of one another."""
    ids = [f"{'abcdefghij'[number % 10]}{number}" for number in range(1, size + 1)]
    for instance_id in ids:
        stage.register(instance_id)
        stage.clock.now += 4.0 / size
    return ids


def test_loss_of_many_at_once_is_held(stage: Stage) -> None:
    """Three of ten that fall silent together stay: not called, unreachable, and to be probed."""
    ids = fleet(stage, 10)
    alive, silent = ids[3:], ids[:3]
    stage.pass_time(25.5, *alive)
    lost = []
    for _ in range(4):
        stage.clock.now += SWEEP_SECONDS
        lost += stage.registry.sweep()
    assert [instance.instance_id for instance in lost] == silent
    assert stage.ids() == ids
    assert stage.registry.lost == 3
    for instance_id in silent:
        instance = stage[instance_id]
        assert (instance.reachable, instance.routable, instance.state) == (False, False, "running")
        assert instance.problem is not None
        assert instance.problem.code == "mass-loss"
    assert "mass-loss" in stage.journal.codes


@pytest.mark.parametrize(("size", "silent", "held"), [(20, 3, False), (19, 3, True), (4, 2, False), (3, 3, True)])
def test_mass_loss_is_at_least_three_and_more_than_15_percent(
    stage: Stage, size: int, silent: int, *, held: bool
) -> None:
    """The bounds are exact: 3 of 20 are 15 % and not more."""
    ids = fleet(stage, size)
    stage.pass_time(35, *ids[silent:])
    assert stage.ids() == (ids if held else ids[silent:])
    assert stage.registry.lost == (silent if held else 0)


def test_losses_one_after_the_other_are_no_mass_loss(stage: Stage) -> None:
    """Last words that lie further apart than 1.2 intervals do not count together."""
    for number, instance_id in enumerate(("a1", "b1", "c1")):
        stage.clock.now += 6.5 * bool(number)
        stage.register(instance_id)
        stage.registry.sweep()
    stage.register("d1")
    stage.pass_time(45, "d1")
    assert stage.ids() == ["d1"]


def test_who_spoke_since_does_not_count(stage: Stage) -> None:
    """Two silent ones and one that was heard since are no three."""
    for instance_id in ("a1", "b1", "c1", "d1"):
        stage.register(instance_id)
    stage.pass_time(35, "c1", "d1")
    assert stage.ids() == ["c1", "d1"]


def test_stopping_ones_are_on_neither_side(stage: Stage) -> None:
    """Two silent ones and two that drain are no mass loss; the drains stay by their own rule."""
    for instance_id in ("a1", "b1", "c1", "d1"):
        stage.register(instance_id)
    for instance_id in ("c1", "d1"):
        stage.beat(instance_id, "stopping", drain=drain(100))
    stage.pass_time(35)
    assert stage.ids() == ["c1", "d1"]


def test_those_held_before_count_with_a_later_one(stage: Stage) -> None:
    """One whose last word lies near those of the lost belongs to them, also when it is found later."""
    for instance_id in ("a1", "b1", "c1"):
        stage.register(instance_id)
    stage.clock.now += 5
    for instance_id in ("a1", "b1"):
        stage.beat(instance_id)
    stage.clock.now += 5
    stage.beat("b1")
    stage.register("d1")
    # last words: c1 at 0, a1 at 5, b1 and d1 at 10: within 6 of c1 is a1, within 6 of a1 are all
    stage.pass_time(45)
    assert stage.ids() == ["a1", "b1", "d1"]
    assert stage.registry.lost == 3


def test_a_word_ends_the_hold(stage: Stage) -> None:
    """A lost instance that beats again is called again within that beat."""
    ids = fleet(stage, 5)
    stage.pass_time(40)
    assert stage.registry.lost == 5
    for instance_id in ids:
        stage.beat(instance_id)
    assert stage.registry.lost == 0
    assert all(stage[instance_id].routable for instance_id in ids)


def test_silence_of_the_lost_lasts_five_ttl(stage: Stage) -> None:
    """Then they are gone; the drop says why."""
    ids = fleet(stage, 3)
    stage.pass_time(145)
    assert stage.ids() == ids
    stage.pass_time(6)
    assert stage.ids() == []
    assert {departure.reason for departure in stage.departures} == {"mass-loss"}


def test_refused_probe_of_a_lost_one_ends_it(stage: Stage) -> None:
    """Where nobody listens there is nothing to wait for; silence is another matter."""
    ids = fleet(stage, 3)
    stage.pass_time(40)
    stage.registry.probe_failed(stage[ids[0]], "late", refused=False)
    stage.registry.probe_failed(stage[ids[0]], "late", refused=False)
    stage.registry.probe_failed(stage[ids[1]], "refused", refused=True)
    stage.registry.found_other_life(stage[ids[2]])
    assert stage.ids() == [ids[0]]


def test_refused_probe_in_the_grace_ends_nobody(stage: Stage) -> None:
    """A manager that was suspended waits one TTL with every purge."""
    ids = fleet(stage, 3)
    stage.pass_time(40)
    stage.clock.now += 20
    stage.registry.sweep()
    stage.registry.probe_failed(stage[ids[0]], "refused", refused=True)
    assert stage.ids() == ids


def test_everyone_cut_off_for_45_seconds_loses_nobody(stage: Stage) -> None:
    """No record lost, none called meanwhile, all back within a beat."""
    ids = fleet(stage, 20)
    for instance_id in ids:
        stage.registry.probe_failed(stage[instance_id], "late", refused=False)
        stage.registry.probe_failed(stage[instance_id], "late", refused=False)
    stage.pass_time(45)
    assert stage.ids() == ids
    assert all(stage.registry.pick(agent_id) is None for agent_id in stage.registry.agents)
    for instance_id in ids:
        stage.beat(instance_id)
        stage.answer(instance_id)
    assert all(stage[instance_id].routable for instance_id in ids)
    stage.pass_time(60, *ids)
    assert stage.ids() == ids


def test_half_of_the_fleet_killed_is_gone_within_five_ttl(stage: Stage) -> None:
    """The guard enters, and leaves."""
    ids = fleet(stage, 10)
    stage.pass_time(35, *ids[5:])
    assert stage.registry.lost == 5
    stage.pass_time(115, *ids[5:])
    assert stage.ids() == ids[5:]
    assert stage.registry.lost == 0
