"""Until when a call may wait for an agent that cannot take it now.

Calls are held because an agent that restarts is back in a second, and a caller should not have to know. They are held
for a bounded time, and never for an agent that somebody ordered to be away.
"""

from collections.abc import Callable

import msgspec

from agent_manager.platform import Pod
from agent_manager.records import AgentRecord, Instance, Timing
from agent_manager.registry import Registry


class Absence(msgspec.Struct, frozen=True):
    """What the record alone does not tell of an agent that no call can go to."""

    on_purpose: bool | None = None
    """Whether the last instance that could take a call was paused, or stopped through the API; None: none was seen."""
    began_to_start_at: float | None = None
    """Monotonic: when the newest instance or pod that is still `starting` appeared."""


PRESENT = Absence()


def first_beats_until(began_at: float, timing: Timing) -> float:
    """Give the time until which this manager may not have heard of every instance yet: 1.2 intervals of its life."""
    return began_at + min(1.2 * timing.heartbeat_interval_seconds, timing.hold_seconds)


def held_until(
    record: AgentRecord | None, timing: Timing, *, began_at: float, absence: Absence = PRESENT
) -> float | None:
    """Give the monotonic time until which a call to this agent may be held; None: not at all.

    `record` is None for an agent that the manager does not know; `began_at` is when the manager's own life began.
    """
    if record is None:
        return first_beats_until(began_at, timing)
    if record.desired_state != "running" or absence.on_purpose or record.unroutable_since is None:
        return None
    if absence.on_purpose is None and record.state == "paused" and not _some_come_or_go(record):
        return None
    if not record.instances and absence == PRESENT:  # it never had one
        return None if record.port_refuses else first_beats_until(began_at, timing)
    went_at = max(record.unroutable_since, absence.began_to_start_at or record.unroutable_since)
    return went_at + timing.hold_seconds


def _some_come_or_go(record: AgentRecord) -> bool:
    return any(state != "paused" for state in record.states)


def _starting(record: AgentRecord) -> set[str]:
    """Give who is starting: processes, pods without one by their uid, or what a workload has yet to make."""
    parts: dict[str, Instance | Pod] = {**record.instances, **record.bare_pods}
    if not parts and record.desired_instances:
        return {"its first pod"}
    return {key for key, part in parts.items() if part.state == "starting"}


class Absences:
    """Remembers for each agent how its last instance went, and since when a new one is starting."""

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._routable: dict[str, dict[str, Instance]] = {}
        self._absences: dict[str, Absence] = {}
        self._starting: dict[str, set[str]] = {}
        self._ordered: set[str] = set()
        registry.subscribe(self.look)

    def of(self, agent_id: str) -> Absence:
        """Give what is known of this agent's absence."""
        return self._absences.get(agent_id, PRESENT)

    def order(self, instance_id: str) -> None:
        """Note, before it is told, that somebody ordered this instance to stop or to pause."""
        self._ordered = {known for known in self._ordered if known in self._registry.instances}
        self._ordered.add(instance_id)

    def call_off(self, instance_id: str) -> None:
        """Forget the order: the instance goes on."""
        self._ordered.discard(instance_id)

    def look(self, agent_id: str) -> None:
        """Take note of a change of this agent; the registry calls it after each."""
        record = self._registry.find(agent_id)
        if record is None:
            self._forget(agent_id)
        elif record.unroutable_since is None:
            self._absences.pop(agent_id, None)
            self._starting.pop(agent_id, None)
            self._routable[agent_id] = {key: one for key, one in record.instances.items() if one.routable}
        else:
            self._look_at_absent(record)

    def _look_at_absent(self, record: AgentRecord) -> None:
        went = self._routable.pop(record.id, None)
        if went is not None:
            away = all(key in self._ordered or one.state == "paused" for key, one in went.items())
            self._absences[record.id] = Absence(on_purpose=away)
        starting = _starting(record)
        if starting - self._starting.get(record.id, set()):
            self._absences[record.id] = Absence(on_purpose=False, began_to_start_at=self._clock())
        self._starting[record.id] = starting

    def _forget(self, agent_id: str) -> None:
        for known in (self._routable, self._absences, self._starting):
            known.pop(agent_id, None)
