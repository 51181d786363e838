"""What happened, counted: calls, drains, actions, refused credentials."""

from typing import Final, Literal, get_args

from agent_contract import __version__
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from agent_manager.access import FailureReason
from agent_manager.departures import Departure, Outcome, Reason
from agent_manager.metrics.forwards import BUCKETS, Forwards
from agent_manager.metrics.gauges import Gauges
from agent_manager.registry import Registry

ACTIONS: Final = ("pause", "resume", "stop", "restart", "start")
ActionOutcome = Literal["succeeded", "failed"]
PURGES: Final[tuple[Reason, ...]] = ("replaced", "expired", "mass-loss", "withdrawn")
RETRY_REASONS: Final = ("connect-failed", "paused", "stopping", "starting", "at-capacity")


class Metrics:
    """The manager's own registry of metrics, and what counts into it."""

    def __init__(self, registry: Registry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # else each counter is a second series
        self.registry = CollectorRegistry()
        self._agents = registry.agents
        self._known: set[str] = set()
        self._held: dict[str, int] = {}
        self._drained: dict[str, list[int]] = {}
        self._forwards = Forwards()
        self.forwarded = self._forwards.count
        """Count a call that was answered: agent (empty for an unknown one), status, seconds."""
        self.tally = self._forwards.tally
        """What calls to an agent came to so far."""
        self._retries = self._counter("forward_retries", "Tries after one that began no work.", "agent", "reason")
        self.registrations = self._counter("registrations", "Registrations taken.")
        self._purged = self._counter("instances_purged", "Instances dropped without a last word, by why.", "reason")
        self._actions = self._counter("actions", "Actions that ended.", "action", "outcome")
        self._auth_failures = self._counter("auth_failures", "Requests refused for their credentials.", "reason")
        self._counter("watch_restarts", "Times that a watch began again.", "namespace", "reason")
        self._drains = self._counter("drains", "Drains that ended, by what became of the work.", "agent", "outcome")
        self._cut = self._counter("drain_tasks_cut", "Tasks that a drain's deadline cut.", "agent")
        self._drain_seconds = self._histogram("drain_duration_seconds", "How long drains took.")
        self._begin_at_zero()
        self.registry.register(self._forwards)
        self.registry.register(Gauges(registry, self._held, self.cut_ratio, __version__))
        registry.departed.append(self.departed)

    def retried(self, agent_id: str, reason: str) -> None:
        """Count a try after one that began no work."""
        self._retries.labels(agent_id, reason if reason in RETRY_REASONS else "refused").inc()

    def held(self, agent_id: str, change: int) -> None:
        """Count a call in (1) or out (-1) of those held."""
        self._held[agent_id] = self._held.get(agent_id, 0) + change
        if not self._held[agent_id]:
            del self._held[agent_id]

    def acted(self, action: str, outcome: ActionOutcome) -> None:
        """Count an action that ended."""
        self._actions.labels(action, outcome).inc()

    def refused_credentials(self, reason: FailureReason) -> None:
        """Count a request that may not do what it asks for."""
        self._auth_failures.labels(reason).inc()

    def departed(self, departure: Departure) -> None:
        """Count an instance that left without a last word, and its drain where one was under way."""
        if departure.reason in PURGES:
            self._purged.labels(departure.reason).inc()
        outcome, agent_id = departure.outcome, departure.instance.agent_id
        if outcome is None:
            return
        self._drains.labels(agent_id, outcome).inc()
        counts = self._drained.setdefault(agent_id, [0, 0])
        counts[0] += 1
        counts[1] += outcome != "clean"
        if departure.drain is not None:
            self._cut.labels(agent_id).inc(departure.drain.cut_tasks)
            self._drain_seconds.labels(agent_id).observe(departure.drain.duration_seconds)

    def cut_ratio(self, agent_id: str) -> float:
        """Give the share of an agent's drains that lost work, 0 to 1."""
        drains, cut = self._drained.get(agent_id, (0, 0))
        return cut / drains if drains else 0.0

    def show_known_agents(self) -> None:
        """Let the series of agents that came since start at 0: a counter born at 1 never shows an increase."""
        for agent_id in self._agents.keys() - self._known:
            self._known.add(agent_id)
            self._forwards.show(agent_id)
            self._cut.labels(agent_id)
            self._drain_seconds.labels(agent_id)
            for reason in RETRY_REASONS:
                self._retries.labels(agent_id, reason)
            for outcome in get_args(Outcome):
                self._drains.labels(agent_id, outcome)

    def _begin_at_zero(self) -> None:
        for purge in PURGES:
            self._purged.labels(purge)
        for failure in get_args(FailureReason):
            self._auth_failures.labels(failure)
        for action in ACTIONS:
            for outcome in get_args(ActionOutcome):
                self._actions.labels(action, outcome)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"agent_manager_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(f"agent_manager_{name}", text, ["agent"], buckets=BUCKETS, registry=self.registry)
