"""The adapter's metrics: names and labels are part of the promise, every series is there from the start."""

from agent_adapter.metrics.counts import Metrics

__all__ = ["Metrics"]
