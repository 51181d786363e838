"""The three things that happen to instances: one comes, one leaves, one is heard; and telling who looks.

Registry decides which; this keeps every index, order, counter and flag consistent with it.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from agent_contract.config import Agent
from agent_contract.wire import ProblemState, State
from msgspec import UNSET, UnsetType

from agent_manager import desired_states, words
from agent_manager.agent_client import Origin
from agent_manager.attachments import pod_of, process_of
from agent_manager.changes import Changes
from agent_manager.departures import Departure, Reason, drain_message, leave_message
from agent_manager.flapping import DOWNS, STEADY_SECONDS, WITHIN_SECONDS, Slots
from agent_manager.fleet import Fleet
from agent_manager.journal import Journal, Kind, Level
from agent_manager.liveness import Liveness
from agent_manager.platform import Pod
from agent_manager.records import AgentRecord, Instance, Observation, Timing

_FLAPPING = f"it was lost {DOWNS} times within {WITHIN_SECONDS:g} s: called again when steady for {STEADY_SECONDS:g} s"
_ORDERED = ("restart", "signal")
"""Why an instance drains that is to be back: a restart through the manager, or a platform that replaces it."""


class Roster:
    """Who is there, in every order in which it is asked for."""

    def __init__(
        self, agents: Iterable[Agent], timing: Timing, journal: Journal, *, now: float, wall: Callable[[], datetime]
    ) -> None:
        self.fleet = Fleet(agents, now)
        self.liveness = Liveness(timing, now)
        self.changes = Changes()
        self.slots = Slots()
        self.departed: list[Callable[[Departure], None]] = []
        self.journal = journal
        self._timing = timing
        self._wall = wall

    def settle(
        self,
        record: AgentRecord,
        instance_id: str,
        service_url: str,
        origin: Origin,
        now: float,
        pod: Pod | None = None,
    ) -> Instance:
        """Give the instance of this id at this address, a new one if need be; another life there is replaced.

        It is in `pod` where somebody saw it there, else in the one with its address: that one decides of it now.
        """
        instance, occupant = self.fleet.instances.get(instance_id), self.fleet.at(origin)
        replaced = occupant if occupant is not instance else None
        if replaced is not None:
            self.drop(replaced, "replaced", now, has_successor=True)
        if instance is None:
            instance = Instance(
                agent_id=record.id,
                instance_id=instance_id,
                service_url=service_url,
                origin=origin,
                heard_at=now,
                answered_at=now,
                probed_at=now,
            )
        elif instance.origin != origin:
            self.fleet.move(instance, origin)
        pod = pod or pod_of(self.fleet, instance)
        if pod is not None and instance.pod is None:
            self.attach(instance, pod)
        if replaced is not None:
            self._refill(replaced, now)
        return instance

    def fill(self, pod: Pod, now: float) -> Instance | None:
        """Find the process of a pod without one among those that are known; whoever calls this publishes."""
        process = process_of(self.fleet, pod)
        if process is not None:
            was = process.state
            self.attach(process, pod)
            self.liveness.sort_in(process)
            if process.state != was:
                self.told_to_stop(process, was, now)
        return process

    def _refill(self, departed: Instance, now: float) -> None:
        """Find another process for the pod of one that left."""
        if departed.pod is not None and self.fleet.pods.is_bare(departed.pod.uid):
            self.fill(departed.pod, now)

    def attach(self, instance: Instance, pod: Pod) -> None:
        """Note that an instance is in this pod. Silence proves nothing of it any more: its pod is there."""
        self.fleet.attach(instance, pod)
        if pod.leaving:
            instance.platform_state = "stopping"
        lost = instance.observed.pop("mass-loss", None)
        if lost is not None:
            self.mark(instance, "unreachable", lost.detail)

    def told_to_stop(self, instance: Instance, was: State, now: float) -> None:
        """Note that the platform ends an instance, whatever it says itself."""
        record = self.fleet.agents[instance.agent_id]
        instance.kept_until = self._kept_until(record, instance, now)
        if was != "stopping":
            pod = "its pod" if instance.pod is None else f"pod {instance.pod.name}"
            message = f"{instance.instance_id} was {was} and is stopping: {pod} is being deleted"
            self.note("agent", instance, "stopping", message)

    def arrive(self, instance: Instance, was: State, now: float) -> None:
        """Add a settled instance if it is new, and note its word."""
        if instance.instance_id not in self.fleet.instances:
            was = instance.state
            self._come(instance, now)
        self.heard(instance, was, now, news=True)

    def _come(self, instance: Instance, now: float) -> None:
        """Add an instance; its address must be free."""
        record = self.fleet.agents[instance.agent_id]
        slot = self.slots.begin(instance.agent_id, instance.origin, now)
        instance.restarts = slot.lives - 1
        if slot.flapping:
            self.mark(instance, "flapping", _FLAPPING)
        self.fleet.add(instance)
        record.port_refuses = False
        self.note("agent", instance, "appeared", f"{instance.instance_id} is there at {instance.service_url}")
        if desired_states.end_stop(record, instance):
            self.note("agent", instance, "desired-running", "stopped no more: an instance came that nobody ordered")

    def drop(self, instance: Instance, reason: Reason, now: float, *, has_successor: bool = False) -> None:
        """Take an instance away that did not unregister."""
        knows_us = instance.beat_at is not None or instance.platform_state is None
        lost = instance.state == "stopping" and knows_us  # who never registered here cannot unregister either
        departure = Departure(instance=instance, reason=reason, drain_lost=lost)
        self.leave(departure, now, has_successor=has_successor)

    def leave(self, departure: Departure, now: float, *, has_successor: bool = False) -> None:
        """Take an instance away and tell why. Whoever still holds the record sees `stopped`.

        `has_successor`: who comes in its place has its pod, too, before anybody else.
        """
        instance, reason = departure.instance, departure.reason
        record = self.fleet.agents[instance.agent_id]
        if reason == "replaced":
            self.fleet.retire(instance.instance_id)
        self.fleet.remove(instance, now)
        self.liveness.forget(instance)
        report = departure.drain
        if instance.reachable and not (report is not None and report.reason in _ORDERED):
            self.lose(instance, now)
        in_order = reason == "unregistered" or (reason == "withdrawn" and instance.platform_state is not None)
        instance.platform_state, instance.said_state = None, "stopped"
        message = leave_message(departure, pod_is_there=self.fleet.has_pod_of(instance))
        self.note("agent", instance, reason, message, level="info" if in_order else "warning")
        if departure.outcome is not None:
            self.note("drain", instance, departure.outcome, drain_message(departure))
        for callback in tuple(self.departed):
            callback(departure)
        if not has_successor:
            self._refill(instance, now)
        self.publish(record, now)

    def heard(self, instance: Instance, was: State, now: float, *, news: bool) -> None:
        """Note a word of an instance whose state was `was` before it; `news`: it says something that listings show."""
        record = self.fleet.agents[instance.agent_id]
        instance.last_seen = self._wall()
        instance.kept_until = self._kept_until(record, instance, now)
        if instance.observed.pop("mass-loss", None) is not None:
            news = True
        self.liveness.hear(instance, now)
        record.touched += 1
        if instance.state != was:
            self.note("agent", instance, instance.state, f"{instance.instance_id} was {was} and is {instance.state}")
        if news:
            self.publish(record, now)

    def lose(self, instance: Instance, now: float) -> None:
        """Count a loss against its address, unless it leaves by an order, the manager's or the platform's."""
        if instance.drain is not None and instance.drain.reason in _ORDERED:
            return
        if self.slots.down(instance.agent_id, instance.origin, now):
            record = self.fleet.agents[instance.agent_id]
            record.flapping = ProblemState("flapping", _FLAPPING, self._wall())
            self.note("verdict", instance, "flapping", f"{record.id} flaps: {_FLAPPING}", level="warning")

    def forget_slot(self, instance: Instance) -> None:
        """Forget how processes came and went at an address that another pod may get."""
        self.slots.forget(instance.agent_id, instance.origin)
        record = self.fleet.agents.get(instance.agent_id)
        if record is not None and not self.slots.flaps(record.id):
            record.flapping = None

    def calm(self, now: float) -> None:
        """Let those that flapped and are steady again be called."""
        for agent_id, origin in self.slots.calmed(now):
            record, instance = self.fleet.agents.get(agent_id), self.fleet.at(origin)
            if record is None:
                continue
            if not self.slots.flaps(agent_id):
                record.flapping = None
            if instance is not None and instance.agent_id == agent_id:
                instance.observed.pop("flapping", None)
            self.publish(record, now)

    def mark(self, instance: Instance, code: Observation, detail: str) -> bool:
        """Note what was observed of an instance; tells whether that is new. Its `since` is that of the first time."""
        if code in instance.observed:
            return False
        instance.observed[code] = ProblemState(code, detail, self._wall())
        return True

    def back(self, instance: Instance, now: float) -> bool:
        """Note that an instance can be talked to; tells whether that is new."""
        if instance.observed.pop("unreachable", None) is None:
            return False
        self.note("verdict", instance, "reachable", f"{instance.instance_id} answers again")
        if self.slots.up(instance.agent_id, instance.origin, now):
            self.mark(instance, "flapping", _FLAPPING)
        return True

    def note(self, kind: Kind, instance: Instance, code: str, message: str, *, level: Level = "info") -> None:
        """Write an event of an instance."""
        self.journal.record(kind, instance.agent_id, code, message, instance_id=instance.instance_id, level=level)

    def publish(self, record: AgentRecord, now: float) -> None:
        """Tell everyone that looks that this agent is another now."""
        if any(instance.routable for instance in record.instances.values()):
            record.unroutable_since = None
        elif record.unroutable_since is None:
            record.unroutable_since = now
        self._look_at_rollout(record)
        record.touched += 1
        record.revision = self.changes.revision + 1
        self.changes.publish(record.id)

    def _look_at_rollout(self, record: AgentRecord) -> None:
        """Say that a rollout waits; its `since` is that of the first time."""
        workload = record.waiting_workload
        if workload is None:
            record.rollout_waits = None
            return
        since = self._wall() if record.rollout_waits is None else record.rollout_waits.since
        detail = f"the rollout of {workload.title} waits: pods of a paused agent are not ready; resume it to go on"
        record.rollout_waits = ProblemState("rollout-waits", detail, since)

    def _kept_until(self, record: AgentRecord, instance: Instance, now: float) -> float | None:
        own = UNSET if record.configured is None else record.configured.drain_timeout_seconds
        timeout = self._timing.drain_timeout_seconds if isinstance(own, UnsetType) else own
        return words.kept_until(instance, now, drain_timeout_seconds=timeout, ttl_seconds=self._timing.ttl_seconds)
