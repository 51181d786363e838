"""What is ordered and how drains end, as Events of the pods and workloads: `kubectl describe` tells the story."""

from collections.abc import Callable
from typing import Final

from msgspec import UnsetType

from agent_manager.cluster.event_writer import EventWriter, Thing
from agent_manager.departures import Departure, Outcome, drain_message
from agent_manager.journal import Entry, Kind, Level
from agent_manager.platform import Pod, Workload
from agent_manager.records import AgentRecord
from agent_manager.registry import Registry

_ENDED: Final = {
    "pause": "AgentPaused",
    "resume": "AgentResumed",
    "stop": "AgentStopped",
    "restart": "AgentRestarted",
    "start": "AgentStarted",
}
_DRAINED: Final[dict[Outcome, str]] = {"clean": "DrainClean", "cut": "DrainCut", "lost": "DrainLost"}


class EventRecorder:
    """Turns what the journal and the registry tell into Events. `leads`: whether this manager acts."""

    def __init__(self, registry: Registry, writer: EventWriter, leads: Callable[[], bool]) -> None:
        self._registry = registry
        self._writer = writer
        self._leads = leads
        self._pods: dict[str, Pod] = {}
        """Where the instances are that an action under way is for: such an instance may be another when it ends."""

    def journaled(self, kind: Kind, entry: Entry, level: Level) -> None:
        """Tell of an action of this manager: on the workloads, or on the pod that it is about alone."""
        record = self._registry.find(entry.agent)
        if kind != "action" or record is None:
            return
        verb, _, outcome = entry.code.rpartition("-")
        about = self._about(record, entry.instance_id, over=outcome != "ordered")
        reason = _ENDED[verb] if outcome == "succeeded" else f"Agent{verb.capitalize()}{outcome.capitalize()}"
        by = "" if isinstance(entry.by, UnsetType) else f", by {entry.by}"
        for thing in about:
            self._writer.put(thing, reason, verb.capitalize(), f"{entry.message}{by}", warning=level == "warning")

    def departed(self, departure: Departure) -> None:
        """Tell how a drain ended: on the pod, and as that goes away, on its workload. Only one manager tells it."""
        pod, outcome = departure.instance.pod, departure.outcome
        if outcome is None or pod is None or not self._leads():
            return
        record = self._registry.find(departure.instance.agent_id)
        note = f"{pod.name}: {drain_message(departure)}"
        things: list[Thing] = [pod, *([] if record is None else _owners(record, pod))]
        for thing in things:
            self._writer.put(thing, _DRAINED[outcome], "Drain", note, warning=outcome != "clean")

    def _about(self, record: AgentRecord, instance_id: str | UnsetType, *, over: bool) -> list[Thing]:
        if isinstance(instance_id, UnsetType):
            return list(record.workloads.values())
        instance = record.instances.get(instance_id)
        pod = self._pods.pop(instance_id, None) if over else (None if instance is None else instance.pod)
        if pod is None:
            return []
        if not over:
            self._pods[instance_id] = pod
        return [pod]


def _owners(record: AgentRecord, pod: Pod) -> list[Workload]:
    """Give the workload whose pod this is, by the names that Kubernetes gives to pods."""
    owners = [one for one in record.workloads.values() if pod.name.startswith(f"{one.name}-")]
    return [max(owners, key=lambda one: len(one.name))] if owners else []
