"""What an agent's past says about its present: how long tasks last, so when a drain will be over."""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Sequence
from heapq import heapify, heapreplace
from statistics import fmean
from typing import Final

_REMEMBERED: Final = 512
"""How many durations are kept: enough for a stable median, little enough to follow a change of load within minutes."""


class DurationHistory:
    """The durations of the last tasks that succeeded, in seconds."""

    def __init__(self) -> None:
        self._durations: deque[float] = deque()
        self._ordered: list[float] = []  # the same, shortest first: an estimate must not sort on each call

    def add(self, seconds: float) -> None:
        """Remember how long one more task took."""
        if len(self._durations) == _REMEMBERED:
            del self._ordered[bisect_left(self._ordered, self._durations.popleft())]
        self._durations.append(seconds)
        insort(self._ordered, seconds)

    def remaining(self, age_seconds: float) -> float | None:
        """Give the median of what remained for past tasks that had reached this age; None when there were none.

        The median over the survivors, not the mean: durations of agents are skewed, and one slow task in a hundred must
        not make every estimate long.
        """
        first = bisect_right(self._ordered, age_seconds)
        survivors = len(self._ordered) - first
        if survivors == 0:
            return None
        low, high = first + (survivors - 1) // 2, first + survivors // 2
        return (self._ordered[low] + self._ordered[high]) / 2 - age_seconds

    def mean(self) -> float | None:
        """Give the mean duration: what throughput depends on; None when nothing was seen yet."""
        return fmean(self._durations) if self._durations else None

    def until_done(self, ages: Sequence[float], queued: int, slots: int) -> float | None:
        """Give the seconds until the running tasks of these ages and the queued ones are done; None when unknown."""
        running = [self.remaining(age) for age in ages]
        typical = self.remaining(0.0)
        if any(rest is None for rest in running) or (queued and typical is None):
            return None
        free_at = _padded((rest for rest in running if rest is not None), slots)
        for _ in range(queued):
            heapreplace(free_at, free_at[0] + (typical or 0.0))
        return max(free_at)


def _padded(remaining: Iterable[float], slots: int) -> list[float]:
    """Give a heap of the times at which each slot is free."""
    free_at = list(remaining)
    free_at += [0.0] * (slots - len(free_at))
    heapify(free_at)
    return free_at
