"""The manager's metrics: names and labels are part of the promise, every family is there from the start."""

from agent_manager.metrics.counters import Metrics
from agent_manager.metrics.exposition import exposition
from agent_manager.metrics.forwards import BUCKETS

__all__ = ["BUCKETS", "Metrics", "exposition"]
