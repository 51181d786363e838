"""The adapter's metrics: names and labels are part of the promise, every series is there from the start."""

from collections.abc import Callable, Iterator
from typing import Final

from agent_contract import __version__
from agent_contract.wire import Totals
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from agent_adapter.admission import TaskTable
from agent_adapter.lifecycle import Lifecycle
from agent_adapter.tasks import Outcome, Task

BUCKETS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
OUTCOMES: Final[tuple[Outcome, ...]] = ("succeeded", "failed", "rejected", "cancelled", "timeout", "interrupted")
STATES: Final = ("starting", "running", "paused", "stopping", "stopped")
REFUSALS: Final = ("paused", "stopping", "at-capacity", "starting")
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

WallOf = Callable[[float], float]
"""Gives the Unix time of a moment on the monotonic clock."""


class Metrics:
    """Counts what tasks did; the gauges are read from lifecycle and table when somebody looks."""

    def __init__(self, lifecycle: Lifecycle, table: TaskTable, version: str, wall: WallOf) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Gauges(lifecycle, table, version, wall))
        tasks = Counter("agent_tasks", "Tasks that ended, by outcome.", ["outcome"], registry=self.registry)
        refusals = Counter("agent_refusals", "Calls on which no work began, by code.", ["code"], registry=self.registry)
        self._tasks = {outcome: tasks.labels(outcome) for outcome in OUTCOMES}
        self._refusals = {code: refusals.labels(code) for code in REFUSALS}
        self.child_restarts = Counter(
            "agent_child_restarts", "Times that the agent's process was started again.", registry=self.registry
        )
        self._duration = Histogram(
            "agent_task_duration_seconds", "How long tasks ran.", buckets=BUCKETS, registry=self.registry
        )
        self._queue_duration = Histogram(
            "agent_task_queue_duration_seconds", "How long tasks waited.", buckets=BUCKETS, registry=self.registry
        )
        self._counts: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
        table.on_end.append(self._ended)

    def refused(self, code: str) -> None:
        """Count a call that was refused; other problems than refusals are not counted here."""
        counter = self._refusals.get(code)
        if counter is not None:
            counter.inc()

    def totals(self) -> Totals:
        """Give the counts by outcome, for the beat."""
        return Totals(**self._counts)

    def exposition(self) -> bytes:
        """Give the page of `GET /metrics`."""
        return generate_latest(_WithoutCreated(self.registry))

    def _ended(self, task: Task) -> None:
        if task.outcome == "refused":
            self.refused("stopping")
        if task.outcome not in self._counts:
            return
        self._counts[task.outcome] += 1
        self._tasks[task.outcome].inc()
        if task.started_at is not None:
            self._duration.observe(task.duration_seconds)
            self._queue_duration.observe(task.started_at - task.created_at)


class _WithoutCreated(Collector):
    """The metrics without the library's `_created` series: they are none of the promised ones."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


class _Gauges(Collector):
    def __init__(self, lifecycle: Lifecycle, table: TaskTable, version: str, wall: WallOf) -> None:
        self._lifecycle = lifecycle
        self._table = table
        self._version = version
        self._wall = wall

    def collect(self) -> Iterator[GaugeMetricFamily]:
        table, drain = self._table, self._lifecycle.drain
        deadline = 0.0 if drain is None else self._wall(drain.deadline)
        yield GaugeMetricFamily("agent_task_running", "Tasks that run.", value=len(table.running))
        yield GaugeMetricFamily("agent_tasks_queued", "Tasks that wait.", value=len(table.queue))
        yield GaugeMetricFamily("agent_max_concurrency", "Tasks that may run at once.", value=table.max_concurrency)
        state = GaugeMetricFamily("agent_state", "1 for the state that the instance is in.", labels=["state"])
        for name in STATES:
            state.add_metric([name], float(name == self._lifecycle.state))
        yield state
        yield GaugeMetricFamily(
            "agent_drain_deadline_timestamp_seconds", "When the drain cuts what is left; 0: no drain.", value=deadline
        )
        info = GaugeMetricFamily("agent_info", "What runs here.", labels=["version", "adapter_version"])
        info.add_metric([self._version, __version__], 1)
        yield info
