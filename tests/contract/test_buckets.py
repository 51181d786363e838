"""Counting durations in buckets."""

from agent_contract.buckets import BUCKETS, DurationCounts, Exemplar


def test_a_bound_is_in_its_bucket() -> None:
    """As Prometheus has it: `le` is less or equal."""
    counts = DurationCounts()
    for seconds in (0.0, 0.01, 0.011, 3600.0, 3600.1):
        counts.observe(seconds)
    assert (counts.counts[0], counts.counts[1], counts.counts[-2], counts.counts[-1]) == (2, 1, 1, 1)
    assert counts.cumulative() == [2, *[3] * (len(BUCKETS) - 2), 4, 5]
    assert round(counts.sum_seconds, 3) == 7200.121


def test_a_bucket_keeps_the_last_trace() -> None:
    """An exemplar that is old leads to a trace that is gone."""
    now = [1.5]
    counts = DurationCounts(lambda: now[0])
    counts.observe(0.2, "a")
    now[0] = 2.5
    counts.observe(0.2, "b")
    counts.observe(0.2)
    assert counts.exemplars == {3: Exemplar("b", 0.2, 2.5)}
