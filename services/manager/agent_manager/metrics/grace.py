"""Grace: whether the time that an agent's drains have is enough, told from how long its tasks of the last week took.

Instances say in their beats, and in their last word, how many of their tasks took how long; so tasks that were answered
with 202 count like others, and the last ones of an instance that left too. Kept in memory alone: a manager that starts
knows what the instances that are there have done since their start, if that is within the week.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from agent_contract.buckets import BUCKETS
from msgspec import Struct

from agent_manager.background import Background
from agent_manager.departures import Departure
from agent_manager.records import Instance

DAYS: Final = 7
LOOK_SECONDS: Final = 60.0
"""How often it is looked what beats brought: a day is wrong by that much."""
_DAY_SECONDS: Final = 86_400.0
_MOST_AGENTS: Final = 10_000
"""About 15 MB; who was forgotten begins anew."""
_BATCH: Final = 200

Counts = Sequence[int]


class Grace(Struct, frozen=True):
    """What a drain timeout would have meant to the tasks of the last week."""

    tasks: int
    cut_ratio: float
    """The share of them, 0 to 1, that took longer: whichever began as the drain did would have been cut."""
    needed_seconds: float
    """What would have cut none of them, up to a bucket's bound; infinite above the last, 0 where there were none."""


class _Week:
    """One agent's tasks, by day and duration."""

    def __init__(self) -> None:
        self._days: deque[tuple[int, list[int]]] = deque(maxlen=DAYS)

    def add(self, day: int, counts: Counts) -> None:
        if not self._days or self._days[-1][0] != day:
            self._days.append((day, [0] * len(counts)))
        today = self._days[-1][1]
        for bucket, count in enumerate(counts):
            today[bucket] += count

    def total(self, day: int) -> list[int]:
        while self._days and self._days[0][0] <= day - DAYS:
            self._days.popleft()
        return [sum(column) for column in zip(*(counts for _, counts in self._days), strict=True)]


class GraceHistory:
    """Remembers how long tasks took. `clock` is monotonic: a day is one of this process's life."""

    def __init__(
        self, instances: Mapping[str, Instance], *, clock: Callable[[], float], wall: Callable[[], datetime]
    ) -> None:
        self._instances = instances
        self._clock = clock
        self._wall = wall
        self._weeks: dict[str, _Week] = {}
        self._seen: dict[str, Counts] = {}
        """By instance: what it said last."""

    async def run(self, background: Background) -> None:
        """Look what beats brought, for ever."""
        while True:
            await background.step("grace", partial(self._look))
            await asyncio.sleep(LOOK_SECONDS)

    def take(self, instance: Instance) -> None:
        """Take what an instance's last beat says, if anything in it is new."""
        if instance.totals is None:
            return
        now, before = instance.totals.durations, self._seen.get(instance.instance_id)
        if now is before or len(now) != len(BUCKETS) + 1:  # another version counts by other bounds
            return
        if before is None:
            before = now if self._is_older_than_the_week(instance) else [0] * len(now)
        self._seen[instance.instance_id] = now
        new = [max(0, count - known) for count, known in zip(now, before, strict=True)]
        if any(new):
            self._week(instance.agent_id).add(self._day(), new)

    def departed(self, departure: Departure) -> None:
        """Take an instance's last word."""
        self.take(departure.instance)
        self._seen.pop(departure.instance.instance_id, None)

    def of(self, agent_id: str, drain_timeout_seconds: float) -> Grace:
        """Give what this timeout would have meant to an agent's tasks of the last week."""
        week = self._weeks.get(agent_id)
        counts = [] if week is None else week.total(self._day())
        tasks = sum(counts)
        if not tasks:
            return Grace(0, 0.0, 0.0)
        longest = max(bucket for bucket, count in enumerate(counts) if count)
        needed = BUCKETS[longest] if longest < len(BUCKETS) else float("inf")
        return Grace(tasks, longer_than(drain_timeout_seconds, counts) / tasks, needed)

    async def _look(self) -> None:
        for number, instance in enumerate(list(self._instances.values()), 1):
            if instance.instance_id in self._instances:
                self.take(instance)
            if number % _BATCH == 0:
                await asyncio.sleep(0)

    def _week(self, agent_id: str) -> _Week:
        week = self._weeks.pop(agent_id, None) or _Week()
        self._weeks[agent_id] = week  # the one that was told of last is forgotten last
        if len(self._weeks) > _MOST_AGENTS:
            del self._weeks[next(iter(self._weeks))]
        return week

    def _day(self) -> int:
        return int(self._clock() // _DAY_SECONDS)

    def _is_older_than_the_week(self, instance: Instance) -> bool:
        return instance.started_at is not None and self._wall() - instance.started_at > timedelta(days=DAYS)


def longer_than(seconds: float, counts: Counts) -> float:
    """Give how many of the counted took longer, within a bucket in proportion; all those above the last bound."""
    longer, lower = 0.0, 0.0
    for bucket, count in enumerate(counts):
        upper = BUCKETS[bucket] if bucket < len(BUCKETS) else float("inf")
        if lower >= seconds or upper == float("inf"):
            longer += count
        elif upper > seconds:
            longer += count * (upper - seconds) / (upper - lower)
        lower = upper
    return longer
