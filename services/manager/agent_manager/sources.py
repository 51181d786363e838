"""What the sources of discovery say of instances, taken into the roster. A source only takes away what it brought."""

from agent_manager import words
from agent_manager.agent_client import Origin
from agent_manager.discovery.events import Event, Gone, Listed, Seen
from agent_manager.platform import Pod
from agent_manager.platform_view import PlatformView
from agent_manager.records import Instance, Source
from agent_manager.roster import Roster


class Sources:
    """Applies events of discovery."""

    def __init__(self, roster: Roster) -> None:
        self.listed_at: dict[Source, float] = {}
        self._roster = roster
        self._fleet = roster.fleet
        self._platform = PlatformView(roster)

    def apply(self, event: Event, now: float) -> None:
        """Take one event."""
        if isinstance(event, Seen):
            self._seen(event, now)
        elif isinstance(event, Gone):
            self._gone(event, now)
        elif isinstance(event, Listed):
            self._listed(event, now)
        else:
            self._platform.apply(event, now)

    def _seen(self, event: Seen, now: float) -> None:
        """Take an instance that answered `/info` at its address. Where it registered, the registered URL stays."""
        info = event.info
        known = self._fleet.instances.get(info.instance_id)
        if self._fleet.is_retired(info.instance_id) or (known is not None and known.agent_id != info.id):
            return
        pod = None if event.pod_uid is None else self._fleet.pods.get(event.pod_uid)
        if event.source == "kubernetes" and not (pod is not None and self._is_in(pod, event, known)):
            return
        record = self._fleet.agent(info.id, now)
        origin = Origin.parse(event.service_url) if known is None else known.origin
        instance = self._roster.settle(record, info.instance_id, event.service_url, origin, now, pod)
        was = instance.state
        instance.sources.add(event.source)
        instance.answered_at = now
        words.take_description(record, instance, words.described(info))
        words.take_status(instance, event.status)
        self._roster.back(instance, now)
        self._roster.arrive(instance, was, now)

    def _is_in(self, pod: Pod, event: Seen, known: Instance | None) -> bool:
        """Tell whether who answered is the process in this pod, as it is by now, and no other has come meanwhile."""
        if event.info.id != pod.agent_id or Origin.parse(event.service_url) != pod.origin:
            return False
        occupant = self._fleet.pods.process_in(pod.uid)
        if known is not None:
            return occupant in (None, known) and known.pod in (None, pod)
        if event.status.status in ("stopping", "stopped"):
            return False  # it has just unregistered, or will say itself that it drains
        return occupant is None or occupant.origin == pod.origin  # another life there is over

    def _gone(self, event: Gone, now: float) -> None:
        record = self._fleet.agents.get(event.agent_id)
        if record is None:
            return
        for instance in tuple(record.instances.values()):
            if event.instance_id in (None, instance.instance_id):
                self._withdraw(instance, event.source, now)
        if event.source == "static" and not record.port_refuses:
            record.port_refuses = True
            self._roster.changes.wake(record.id)

    def _listed(self, event: Listed, now: float) -> None:
        self.listed_at[event.source] = now
        for instance in tuple(self._fleet.instances.values()):
            if event.instance_ids is not None and instance.instance_id not in event.instance_ids:
                self._withdraw(instance, event.source, now)

    def _withdraw(self, instance: Instance, source: Source, now: float) -> None:
        if source == "kubernetes":  # it tells of pods, and each of them decides
            return
        if instance.sources == {source}:
            self._roster.drop(instance, "withdrawn", now)
        elif source in instance.sources:
            instance.sources.discard(source)
            self._roster.publish(self._fleet.agents[instance.agent_id], now)
