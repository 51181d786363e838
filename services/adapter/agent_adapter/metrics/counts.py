"""What tasks did, counted in plain numbers: a call adds to five of them, and a scrape makes families of them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from agent_contract import __version__
from agent_contract.adapter_families import ADAPTER_FAMILIES
from agent_contract.buckets import BUCKETS, DurationCounts
from agent_contract.wire import Totals
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from agent_adapter.admission import TaskTable
from agent_adapter.lifecycle import Lifecycle
from agent_adapter.metrics.page import Page
from agent_adapter.tasks import Outcome, Task

OUTCOMES: Final[tuple[Outcome, ...]] = ("succeeded", "failed", "rejected", "cancelled", "timeout", "interrupted")
STATES: Final = ("starting", "running", "paused", "stopping", "stopped")
REFUSALS: Final = ("paused", "stopping", "at-capacity", "starting")

WallOf = Callable[[float], float]
"""Gives the Unix time of a moment on the monotonic clock."""


class Metrics(Collector):
    """Counts what tasks did; the gauges are read from lifecycle and table when somebody looks."""

    def __init__(self, lifecycle: Lifecycle, table: TaskTable, version: str, wall: WallOf) -> None:
        self._lifecycle = lifecycle
        self._table = table
        self._version = version
        self._wall = wall
        self._outcomes = dict.fromkeys(OUTCOMES, 0)
        self._refusals = dict.fromkeys(REFUSALS, 0)
        self._child_restarts = 0
        self._durations = DurationCounts()
        self._queue_durations = DurationCounts()
        self.page = Page(self)
        """The page of `GET /metrics`."""
        table.on_end.append(self.ended)

    def refused(self, code: str) -> None:
        """Count a call that was refused; other problems than refusals are not counted here."""
        if code in self._refusals:
            self._refusals[code] += 1

    def child_restarted(self) -> None:
        """Count that the agent's process was started again."""
        self._child_restarts += 1

    def ended(self, task: Task) -> None:
        """Count a task that has its outcome; one that was refused while it waited never was one."""
        outcome = task.outcome
        if outcome == "refused":
            self.refused("stopping")
        if outcome not in self._outcomes:
            return
        self._outcomes[outcome] += 1
        if task.started_at is not None:
            trace_id = task.span.sampled_trace_id
            self._durations.observe(task.duration_seconds, trace_id)
            self._queue_durations.observe(task.started_at - task.created_at, trace_id)

    def totals(self) -> Totals:
        """Give the counts by outcome and by duration, for the beat."""
        return Totals(**self._outcomes, durations=list(self._durations.counts))

    def collect(self) -> Iterator[Metric]:
        """Give every family as it is now, in the order of the promise."""
        table, drain = self._table, self._lifecycle.drain
        yield _gauge("agent_task_running", len(table.running))
        yield _gauge("agent_tasks_queued", len(table.queue))
        yield _gauge("agent_max_concurrency", table.max_concurrency)
        yield self._state()
        yield _gauge("agent_drain_deadline_timestamp_seconds", 0.0 if drain is None else self._wall(drain.deadline))
        yield self._info()
        yield _counters("agent_tasks", "outcome", self._outcomes)
        yield _counters("agent_refusals", "code", self._refusals)
        restarts = CounterMetricFamily("agent_child_restarts", _text("agent_child_restarts"))
        restarts.add_metric([], self._child_restarts)
        yield restarts
        yield _histogram("agent_task_duration_seconds", self._durations)
        yield _histogram("agent_task_queue_duration_seconds", self._queue_durations)

    def _state(self) -> Metric:
        state = GaugeMetricFamily("agent_state", _text("agent_state"), labels=["state"])
        for name in STATES:
            state.add_metric([name], float(name == self._lifecycle.state))
        return state

    def _info(self) -> Metric:
        info = GaugeMetricFamily("agent_info", _text("agent_info"), labels=["version", "adapter_version"])
        info.add_metric([self._version, __version__], 1)
        return info


def _text(name: str) -> str:
    return ADAPTER_FAMILIES[name].text


def _gauge(name: str, value: float) -> Metric:
    return GaugeMetricFamily(name, _text(name), value=value)


def _counters(name: str, label: str, counts: Mapping[Any, int]) -> Metric:
    family = CounterMetricFamily(name, _text(name), labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def _histogram(name: str, counts: DurationCounts) -> Metric:
    bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
    buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
    for number, (bound, count) in enumerate(zip(bounds, counts.cumulative(), strict=True)):
        found = counts.exemplars.get(number)
        if found is None:
            buckets.append((bound, float(count)))
        else:
            buckets.append((bound, float(count), Exemplar({"trace_id": found.trace_id}, found.seconds, found.at)))
    return HistogramMetricFamily(name, _text(name), buckets=buckets, sum_value=counts.sum_seconds)
