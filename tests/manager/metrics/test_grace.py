"""Grace: what share of the last week's tasks a drain timeout would have cut."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from agent_contract.buckets import BUCKETS
from agent_contract.wire import Totals, Unregistration
from agent_manager.background import Background
from agent_manager.metrics.grace import DAYS, GraceHistory, longer_than
from agent_manager.records import Instance

from tests.manager.stage import Stage

DAY = 86_400.0


class Diary:
    """A grace history with instances that a test lets speak."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.grace = GraceHistory(self.stage.registry.instances, clock=self.stage.clock, wall=self.stage.wall)
        self.stage.registry.departed.append(self.grace.departed)

    def instance(self, name: str = "a1") -> Instance:
        """Give an instance of agent `a` that has registered."""
        return self.stage.registry.instances.get(name) or self.stage.register(name)

    def says(self, instance: Instance, **by_seconds: int) -> None:
        """Let an instance say how many tasks took `under_N` seconds, N a bucket's bound, or `above`."""
        counts = [0] * (len(BUCKETS) + 1)
        for name, count in by_seconds.items():
            bucket = len(BUCKETS) if name == "above" else BUCKETS.index(float(name.removeprefix("under_")))
            counts[bucket] = count
        instance.totals = Totals(durations=counts)
        self.grace.take(instance)

    def ratio(self, timeout: float = 30.0) -> tuple[int, float]:
        """Give how many tasks there were, and the share of those that took longer."""
        found = self.grace.of("a", timeout)
        return found.tasks, round(found.cut_ratio, 4)


@pytest.mark.parametrize(
    ("timeout", "longer"), [(0.0, 16), (5.0, 12), (10.0, 8), (20.0, 6), (30.0, 4), (3600.0, 4), (7200.0, 4)]
)
def test_tasks_that_took_longer_are_counted_within_a_bucket_in_proportion(timeout: float, longer: float) -> None:
    """And above the last bound all of them: nobody knows how long those took."""
    counts = [0] * (len(BUCKETS) + 1)
    counts[BUCKETS.index(5.0)], counts[BUCKETS.index(10.0)] = 4, 4
    counts[BUCKETS.index(30.0)], counts[-1] = 4, 4
    assert longer_than(timeout, counts) == longer


def test_an_agent_without_tasks_needs_nothing() -> None:
    """And no advice."""
    assert Diary().grace.of("a", 30.0).needed_seconds == 0
    assert Diary().ratio() == (0, 0.0)


def test_only_what_is_new_in_a_beat_counts() -> None:
    """Beats say what an instance did since its start."""
    diary = Diary()
    instance = diary.instance()
    diary.says(instance, under_1=8)
    diary.says(instance, under_1=8)
    diary.says(instance, under_1=9, under_60=1)
    assert diary.ratio() == (10, 0.1)
    assert diary.grace.of("a", 30.0).needed_seconds == 60


def test_what_no_bucket_bounds_has_no_answer() -> None:
    """An hour is the last bound."""
    diary = Diary()
    diary.says(diary.instance(), above=1)
    assert diary.grace.of("a", 30.0).needed_seconds == float("inf")


def test_the_tasks_of_an_instance_that_left_stay() -> None:
    """The last ones too, which its last word tells; an instance that comes then begins at nothing."""
    diary = Diary()
    diary.says(diary.instance(), under_1=1)
    counts = [0] * (len(BUCKETS) + 1)
    counts[BUCKETS.index(1.0)], counts[BUCKETS.index(60.0)] = 1, 1
    diary.stage.registry.unregister(Unregistration("a", "a1", totals=Totals(durations=counts)))
    assert diary.ratio() == (2, 0.5)
    diary.says(diary.instance("a2"), under_1=2)
    assert diary.ratio() == (4, 0.25)


def test_a_week_is_seven_days() -> None:
    """Each evening the day before the week goes."""
    diary = Diary()
    instance = diary.instance()
    for day in range(DAYS):
        diary.says(instance, under_1=0, under_60=day + 1)
        diary.stage.clock.now += DAY
    assert diary.ratio() == (6, 1.0)
    diary.stage.clock.now += 5 * DAY
    assert diary.ratio() == (1, 1.0)
    diary.stage.clock.now += DAY
    assert diary.ratio() == (0, 0.0)


@pytest.mark.parametrize(("age", "tasks"), [(timedelta(days=6), 5), (timedelta(days=8), 0)])
def test_a_manager_that_starts_takes_what_is_of_this_week(age: timedelta, tasks: int) -> None:
    """An instance that is older has counted tasks of other weeks too, and nobody knows which."""
    diary = Diary()
    instance = diary.instance()
    instance.started_at = diary.stage.wall() - age
    diary.says(instance, under_1=5)
    assert diary.ratio()[0] == tasks
    diary.says(instance, under_1=7)
    assert diary.ratio()[0] == tasks + 2


@pytest.mark.parametrize("durations", [[], [1, 2, 3], [1] * 30])
def test_other_buckets_say_nothing(durations: Sequence[int]) -> None:
    """Another version may count by other bounds."""
    diary = Diary()
    instance = diary.instance()
    instance.totals = Totals(durations=list(durations))
    diary.grace.take(instance)
    assert diary.ratio() == (0, 0.0)


def test_counts_that_fall_are_nothing_new() -> None:
    """Nobody has done less than before."""
    diary = Diary()
    instance = diary.instance()
    diary.says(instance, under_1=5)
    diary.says(instance, under_1=3)
    assert diary.ratio() == (5, 0.0)


async def test_beats_count_also_while_nobody_asks() -> None:
    """Else a Monday would be told of on a Sunday."""
    diary = Diary()
    instance = diary.instance()
    counts = [0] * (len(BUCKETS) + 1)
    counts[0] = 3
    instance.totals = Totals(durations=counts)
    await Background().step("grace", diary.grace._look)
    diary.stage.clock.now += DAYS * DAY
    diary.grace.take(instance)
    assert diary.ratio() == (0, 0.0)
