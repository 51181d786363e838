"""What happened, counted: calls, drains, actions, refused credentials; and the page that tells it."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Final, Literal, get_args

from agent_contract import __version__
from agent_contract.buckets import BUCKETS
from msgspec import UnsetType
from prometheus_client import CollectorRegistry, Counter, disable_created_metrics

from agent_manager.access import FailureReason
from agent_manager.actions import Action
from agent_manager.audit import DEEDS, OUTCOMES, Deed, Outcome
from agent_manager.cluster.watch_health import WatchHealth
from agent_manager.departures import Departure, Reason
from agent_manager.metrics.carried import REFUSALS, Carried, Refusal
from agent_manager.metrics.counts import AgentCounts
from agent_manager.metrics.exposition import Form, Pace, packed, page
from agent_manager.metrics.families import Family
from agent_manager.metrics.gauges import Gauges
from agent_manager.metrics.grace import GraceHistory
from agent_manager.metrics.of_agents import OfAgents
from agent_manager.records import AgentRecord
from agent_manager.registry import Registry
from agent_manager.samples import Tally

ACTIONS: Final = ("pause", "resume", "stop", "restart", "start")
ActionOutcome = Literal["succeeded", "failed"]
PURGES: Final[tuple[Reason, ...]] = ("replaced", "expired", "mass-loss", "withdrawn")
_UNKNOWN: Final = ""
"""The label of calls to agents that nobody knows."""


class Metrics:
    """Counts, and tells. Few series are the library's; those of each agent and instance are text that is kept."""

    def __init__(
        self,
        registry: Registry,
        *,
        clock: Callable[[], float],
        wall: Callable[[], datetime],
        watches: WatchHealth | None = None,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # else each counter is a second series
        self.registry = CollectorRegistry()
        self._known = registry
        self._counts: dict[str, AgentCounts] = {}
        self._held: dict[str, int] = {}
        self._of_agents = OfAgents()
        self._form: Form | None = None
        self.grace = GraceHistory(registry.instances, clock=clock, wall=wall)
        """How long tasks took, for advice on drain timeouts."""
        self.registrations = self._counter("registrations", "Registrations taken.")
        self._purged = self._counter("instances_purged", "Instances dropped without a last word, by why.", "reason")
        self._actions = self._counter("actions", "Actions that ended.", "action", "outcome")
        self._auth_failures = self._counter("auth_failures", "Requests refused for their credentials.", "reason")
        self._audited = self._counter("audit", "What was asked for, and what came of it.", "action", "outcome")
        self._refused = self._counter("metrics_refused", "What instances' pages had and this one has not.", "reason")
        self.carried = Carried(self._count_refused)
        """What instances' own pages say."""
        self._begin_at_zero()
        self.registry.register(Gauges(registry, watches or WatchHealth(wall=wall), leads, __version__))
        registry.departed.append(self.departed)

    # --- what happens ---

    def forwarded(self, agent_id: str, code: int, seconds: float, trace_id: str | None = None) -> None:
        """Count a call that was answered; `agent_id` is empty for an unknown agent, `trace_id` that of a kept trace."""
        self._of(agent_id).answered(code, seconds, trace_id)

    def retried(self, agent_id: str, reason: str) -> None:
        """Count a try after one that began no work."""
        self._of(agent_id).retried(reason)

    def held(self, agent_id: str, change: int) -> None:
        """Count a call in (1) or out (-1) of those held."""
        self._held[agent_id] = self._held.get(agent_id, 0) + change
        if not self._held[agent_id]:
            del self._held[agent_id]

    def acted(self, action: Action) -> None:
        """Count an action that ended."""
        self._actions.labels(action.verb, "failed" if action.state == "failed" else "succeeded").inc()

    def audited(self, deed: Deed, outcome: Outcome) -> None:
        """Count what the audit noted."""
        self._audited.labels(deed, outcome).inc()

    def refused_credentials(self, reason: FailureReason) -> None:
        """Count a request that may not do what it asks for."""
        self._auth_failures.labels(reason).inc()

    def departed(self, departure: Departure) -> None:
        """Count an instance that left without a last word, and its drain where one was under way."""
        if departure.reason in PURGES:
            self._purged.labels(departure.reason).inc()
        self._of(departure.instance.agent_id).drained(departure)
        self.grace.departed(departure)
        self.carried.drop(departure.instance.instance_id)

    # --- who asks ---

    def tally(self, agent_id: str) -> Tally:
        """Give what calls to an agent came to so far."""
        counts = self._counts.get(agent_id)
        if counts is None:
            return Tally({}, (0,) * (len(BUCKETS) + 1))
        return Tally(counts.codes, tuple(counts.durations.counts))

    async def page(self, form: Form, *, carried: bool) -> AsyncIterator[bytes]:
        """Give the page in pieces, with what instances' own pages say if that is wanted.

        Others have the event loop in between: at 1,000 agents it is some 20 MB of text.
        """
        pace = Pace()
        await self._bring_up_to_date(pace)
        if carried:
            self._form = form
        async for piece in page(form, self.registry, self._families(carried=carried), pace):
            yield piece

    async def prepare(self) -> None:
        """Compress what is new of instances' pages, if the last scraper takes it so: the next scrape is the quicker."""
        if self._form is not None:
            await packed(self._form, self.carried.families(), Pace())

    def _families(self, *, carried: bool) -> Iterator[Family]:
        yield from self._of_agents.families()
        if carried:
            yield from self.carried.families()

    async def _bring_up_to_date(self, pace: Pace) -> None:
        agents = self._known.agents
        for agent_id in [one for one in self._counts if one not in agents and one != _UNKNOWN]:
            del self._counts[agent_id]
        self._of_agents.forget_others(lambda agent_id: agent_id in agents or agent_id == _UNKNOWN)
        for record in list(agents.values()):
            if agents.get(record.id) is record:
                self._show(record)
            await pace.rest()
        if _UNKNOWN in self._counts:
            self._of_agents.show_calls(_UNKNOWN, self._counts[_UNKNOWN])

    def _show(self, record: AgentRecord) -> None:
        for instance in record.instances.values():
            self.grace.take(instance)
        grace = self.grace.of(record.id, self._drain_timeout_of(record))
        self._of_agents.show(record, self._of(record.id), self._held.get(record.id, 0), grace)

    def _drain_timeout_of(self, record: AgentRecord) -> float:
        own = None if record.configured is None else record.configured.drain_timeout_seconds
        return self._known.timing.drain_timeout_seconds if own is None or isinstance(own, UnsetType) else own

    def _of(self, agent_id: str) -> AgentCounts:
        counts = self._counts.get(agent_id)
        if counts is None:
            counts = self._counts[agent_id] = AgentCounts()
        return counts

    def _count_refused(self, reason: Refusal) -> None:
        self._refused.labels(reason).inc()

    def _begin_at_zero(self) -> None:
        for purge in PURGES:
            self._purged.labels(purge)
        for failure in get_args(FailureReason):
            self._auth_failures.labels(failure)
        for deed in DEEDS:
            for came in OUTCOMES:
                self._audited.labels(deed, came)
        for reason in REFUSALS:
            self._refused.labels(reason)
        for action in ACTIONS:
            for outcome in get_args(ActionOutcome):
                self._actions.labels(action, outcome)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"agent_manager_{name}", text, labels, registry=self.registry)
