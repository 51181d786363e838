"""Forwarded calls, counted in plain numbers: the hot path adds to three of them, and a scrape makes families."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from agent_manager.samples import Tally

BUCKETS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class _OfAgent:
    """What one agent's calls came to; `buckets` has one number more than there are bounds."""

    __slots__ = ("buckets", "codes", "seconds")

    def __init__(self) -> None:
        self.codes = {200: 0}
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0


class Forwards(Collector):
    """Counts answers by agent and status, and how long they took. Belongs to one thread, so there is no lock."""

    def __init__(self) -> None:
        self._agents: dict[str, _OfAgent] = {}

    def count(self, agent_id: str, code: int, seconds: float) -> None:
        """Count a call that was answered; `agent_id` is empty for an unknown agent."""
        counts = self._agents.get(agent_id) or self.show(agent_id)
        counts.codes[code] = counts.codes.get(code, 0) + 1
        counts.buckets[bisect_left(BUCKETS, seconds)] += 1
        counts.seconds += seconds

    def show(self, agent_id: str) -> _OfAgent:
        """Let an agent's series be there from now on, at 0, and give its numbers."""
        return self._agents.setdefault(agent_id, _OfAgent())

    def tally(self, agent_id: str) -> Tally:
        """Give what calls to an agent came to so far."""
        counts = self._agents.get(agent_id)
        return Tally({}, (0,) * (len(BUCKETS) + 1)) if counts is None else Tally(counts.codes, tuple(counts.buckets))

    def collect(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        """Give the two families."""
        requests = CounterMetricFamily(
            "agent_manager_forward_requests", "Calls answered, by status.", labels=["agent", "code"]
        )
        durations = HistogramMetricFamily(
            "agent_manager_forward_duration_seconds", "How long calls took.", labels=["agent"]
        )
        for agent_id, counts in self._agents.items():
            for code, number in counts.codes.items():
                requests.add_metric([agent_id, str(code)], number)
            durations.add_metric([agent_id], _cumulative(counts.buckets), counts.seconds)
        yield requests
        yield durations


def _cumulative(numbers: list[int]) -> list[tuple[str, float]]:
    """Give the buckets as Prometheus counts them: each with all that is below it."""
    total, buckets = 0, []
    for bound, number in zip((*map(float, BUCKETS), float("inf")), numbers, strict=True):
        total += number
        buckets.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
    return buckets
