"""Who is there: the one place that changes records. Synchronous, no I/O, time injected.

One process is one record, found by its instance id; at one address there is one process.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Final

from agent_contract.config import Agent
from agent_contract.problems import Problem
from agent_contract.wire import DesiredState, Heartbeat, Registration, Status, Unregistration

from agent_manager import desired_states, words
from agent_manager.agent_client import Origin
from agent_manager.departures import Departure
from agent_manager.discovery.events import Event
from agent_manager.journal import Journal
from agent_manager.losses import Losses
from agent_manager.records import AgentRecord, Instance, Timing
from agent_manager.roster import Roster
from agent_manager.sources import Sources

_BEATS_MISSING_INTERVALS: Final = 2.5


class Registry:
    """Every agent and instance that this manager knows."""

    def __init__(
        self,
        agents: Iterable[Agent],
        timing: Timing,
        journal: Journal,
        *,
        clock: Callable[[], float],
        wall: Callable[[], datetime],
    ) -> None:
        self.timing = timing
        self.started_at = clock()
        """Monotonic."""
        self._clock = clock
        self._wall = wall
        self._journal = journal
        self._roster = Roster(agents, timing, journal, now=self.started_at, wall=wall)
        self._fleet = self._roster.fleet
        self.agents = self._fleet.agents
        self.instances = self._fleet.instances
        """Of all agents, by instance id."""
        self._losses = Losses(self._roster, timing, journal)
        self._sources = Sources(self._roster)
        self.listed_at = self._sources.listed_at
        """Monotonic: when each source of discovery last told everything that it knows."""
        self.departed = self._roster.departed
        """Called synchronously for each instance that left."""

    # --- what is known ------------------------------------------------------------------------------------------------

    def agent_of_pod(self, uid: str) -> str | None:
        """Give the agent of a pod that the platform tells of, by its label; None for any other."""
        pod = self._fleet.pods.get(uid)
        return None if pod is None else pod.agent_id

    @property
    def revision(self) -> int:
        """How many visible changes there were."""
        return self._roster.changes.revision

    @property
    def lost(self) -> int:
        """How many instances the mass-loss guard holds."""
        return self._roster.liveness.lost

    def find(self, agent_id: str) -> AgentRecord | None:
        """Give the agent's record, or None for an unknown one."""
        return self.agents.get(agent_id)

    def is_stale(self, instance_id: str) -> bool:
        """Tell whether this was replaced by a newer life: an action on it is 409 `stale-instance`."""
        return self._fleet.is_retired(instance_id)

    def occupant(self, origin: Origin) -> Instance | None:
        """Give the instance that is known at this address."""
        return self._fleet.at(origin)

    def pick(self, agent_id: str, excluding: Collection[str] = ()) -> Instance | None:
        """Give the routable instance with the fewest calls in hand, in turn among equals; not one of `excluding`."""
        record = self.agents.get(agent_id)
        if record is None:
            return None
        able = [one for one in record.instances.values() if one.routable and one.instance_id not in excluding]
        if not able:
            return None
        least = min(len(one.calls) for one in able)
        best = [one for one in able if len(one.calls) == least]
        record.turn += 1
        return best[record.turn % len(best)]

    def subscribe(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call back with the agent's id after each visible change; gives the function that ends it."""
        return self._roster.changes.subscribe(callback)

    async def changed(self, agent_id: str, timeout_seconds: float) -> None:
        """Return at the next visible change of that agent, known or not, after `timeout_seconds` at the latest."""
        await self._roster.changes.wait(agent_id, timeout_seconds)

    # --- what instances say -------------------------------------------------------------------------------------------

    def count_of(self, registrant: str) -> int:
        """Give how many instances are known because this one registered them."""
        return self._fleet.count_of(registrant)

    def register(self, registration: Registration, origin: Origin, registrant: str | None = None) -> Instance:
        """Take a registration that was checked: who else was known at that address is replaced.

        Raises:
            Problem: 409 `stale-instance` or `registration-conflict`, 400 `bad-request` for its metadata.

        """
        self._refuse_stale(registration.instance_id)
        said = words.read_metadata(registration)
        known = self.instances.get(registration.instance_id)
        if known is not None and known.agent_id != registration.id:
            raise Problem("registration-conflict", f"{known.instance_id} is an instance of {known.agent_id}")
        now = self._clock()
        record = self._fleet.agent(registration.id, now)
        instance = self._roster.settle(record, registration.instance_id, registration.service_url, origin, now)
        was = instance.state
        instance.service_url = registration.service_url
        if known is None:
            instance.registrant = registrant
        instance.sources.add("registration")
        instance.registered_at = instance.registered_at or self._wall()
        instance.beat_at = now
        # one that does not say is called: if it is not up yet, it refuses, which costs its caller nothing
        instance.said_state = registration.status or (instance.said_state if known else "running")
        instance.observed.pop("beats-missing", None)
        words.take_description(record, instance, said)
        if desired_states.adopt(record, registration.desired_state):
            self._roster.note("agent", instance, "desired-paused", f"{record.id} was paused elsewhere, as it says")
        self._roster.arrive(instance, was, now)
        return instance

    def beat(self, beat: Heartbeat) -> Instance:
        """Take a beat; raises Problem 404 `unknown-instance`, 409 `stale-instance`."""
        instance = self.instances.get(beat.instance_id)
        if instance is None or instance.beat_at is None or instance.agent_id != beat.id:
            self._refuse_stale(beat.instance_id)
            raise Problem("unknown-instance", f"{beat.instance_id} of {beat.id} is not known here: register it")
        now, was = self._clock(), instance.state
        instance.beat_at = now
        news = words.take_beat(instance, beat)
        if instance.observed.pop("beats-missing", None) is not None:
            news = True
        self._roster.heard(instance, was, now, news=news)
        return instance

    def unregister(self, message: Unregistration) -> None:
        """Take an instance's last word; nothing happens for an unknown one. Raises Problem 409 `stale-instance`."""
        self._refuse_stale(message.instance_id)
        instance = self.instances.get(message.instance_id)
        if instance is not None and instance.agent_id == message.id:
            instance.totals = message.totals or instance.totals
            departure = Departure(instance=instance, reason="unregistered", drain=message.drain)
            self._roster.leave(departure, self._clock())

    def observe(self, instance: Instance, status: Status, asked_at: float) -> None:
        """Take a `/status` of this very process (a probe's, or an action's answer), asked for at `asked_at`, monotonic.

        It counts as heard; what it says counts unless a beat came after it was asked for.
        """
        now, was = self._clock(), instance.state
        instance.answered_at, instance.failed_probes = now, 0
        if self.instances.get(instance.instance_id) is not instance:
            return
        news = self._roster.back(instance, now)
        if instance.beat_at is None or asked_at >= instance.beat_at:
            news |= words.take_status(instance, status)
        overdue = _BEATS_MISSING_INTERVALS * self.timing.heartbeat_interval_seconds
        if instance.beat_at is not None and now - instance.beat_at > overdue:
            detail = "it answers probes, and its heartbeats do not arrive"
            news |= self._roster.mark(instance, "beats-missing", detail)
        self._roster.heard(instance, was, now, news=news)

    # --- what is observed ---------------------------------------------------------------------------------------------

    def probe_failed(self, instance: Instance, detail: str, *, refused: bool) -> None:
        """Count a probe without an answer: one refused or two in a row end routing, and nothing else.

        One that was lost with many others is gone when its port refuses.
        """
        instance.failed_probes += 1
        if self.instances.get(instance.instance_id) is instance:
            self._losses.probe_failed(instance, detail, self._clock(), refused=refused)

    def found_other_life(self, instance: Instance) -> None:
        """Drop an instance at whose address another life answered: its id does not come back."""
        if self.instances.get(instance.instance_id) is instance:
            self._roster.drop(instance, "replaced", self._clock())

    def apply(self, event: Event) -> None:
        """Take what a source of discovery emits; a source only takes away what it brought."""
        self._sources.apply(event, self._clock())

    # --- what is ordered, and what time does --------------------------------------------------------------------------

    def set_desired_state(self, agent_id: str, state: DesiredState, *, by: str | None) -> None:
        """Note what an operator ordered for a known agent; `start` is `running`."""
        record = self.agents[agent_id]
        desired_states.order(record, state)
        self._journal.record("agent", agent_id, f"desired-{state}", f"{agent_id} is to be {state}", by=by)
        self._roster.publish(record, self._clock())

    def sweep(self) -> list[Instance]:
        """Drop who was silent for too long; give those lost all at once, which are to be probed now."""
        now = self._clock()
        lost = self._losses.sweep(now)
        self._roster.calm(now)
        if not self._roster.liveness.in_grace(now):
            kept = max(self.timing.hold_seconds, self.timing.ttl_seconds)
            for record in self._fleet.forget_emptied(now - kept):
                self._roster.publish(record, now)
        return lost

    def _refuse_stale(self, instance_id: str) -> None:
        if self._fleet.is_retired(instance_id):
            raise Problem("stale-instance", f"{instance_id} was replaced: a newer process has its place")
