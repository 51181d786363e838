"""Durations in buckets: the bounds that both sides count by, and counting in plain numbers, for hot paths."""

import time
from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate
from typing import Final

from msgspec import Struct

BUCKETS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Upper bounds in seconds, inclusive; above the last lies one more bucket, without a bound."""


class Exemplar(Struct, frozen=True):
    """One duration that stands for its bucket, and the trace in which it was measured."""

    trace_id: str
    seconds: float
    at: float
    """Unix time in seconds."""


class DurationCounts:
    """How many durations fell into each bucket. Belongs to one thread, so there is no lock."""

    __slots__ = ("_wall", "counts", "exemplars", "sum_seconds")

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        """By bucket, each without those below it."""
        self.sum_seconds = 0.0
        self.exemplars: dict[int, Exemplar] = {}
        """By bucket, the last one each."""
        self._wall = wall

    def observe(self, seconds: float, trace_id: str | None = None) -> None:
        """Count a duration, and remember the trace that it was measured in where it is kept."""
        bucket = bisect_left(BUCKETS, seconds)
        self.counts[bucket] += 1
        self.sum_seconds += seconds
        if trace_id is not None:
            self.exemplars[bucket] = Exemplar(trace_id, seconds, self._wall())

    def cumulative(self) -> list[int]:
        """Give the counts as Prometheus counts them, each with all below it; the last is that of all."""
        return list(accumulate(self.counts))
