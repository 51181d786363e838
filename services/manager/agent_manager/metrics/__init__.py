"""The manager's metrics: names and labels are part of the promise, every family is there from the start."""

from agent_contract.buckets import BUCKETS

from agent_manager.metrics.carried import Carried, Refusal
from agent_manager.metrics.counters import Metrics
from agent_manager.metrics.exposition import Form, negotiated
from agent_manager.metrics.reading import Malformed, Reader

__all__ = ["BUCKETS", "Carried", "Form", "Malformed", "Metrics", "Reader", "Refusal", "negotiated"]
