"""Where an agent's processes are: pods, with a process in them or not yet, and processes from elsewhere."""

from msgspec import Struct

from agent_manager.platform import Pod
from agent_manager.records import AgentRecord, Instance


class Place(Struct, frozen=True):
    """One line of an agent's listing: an instance, or a pod in which no process is known."""

    instance_id: str
    """The pod's uid where there is no process, as in listings."""
    instance: Instance | None
    pod: Pod | None
    """None for an instance that came from elsewhere: the platform does not end it."""

    @property
    def registered(self) -> bool:
        """Whether a process was here that would say its last word to this manager."""
        return self.instance is not None and self.instance.beat_at is not None


def places_of(record: AgentRecord) -> list[Place]:
    """Give every place of an agent."""
    instances = [Place(one.instance_id, one, one.pod) for one in record.instances.values()]
    return instances + [Place(pod.uid, None, pod) for pod in record.bare_pods.values()]


def is_up(record: AgentRecord, instance: Instance) -> bool:
    """Tell whether an instance does what it is to do: it runs, or is paused where its agent is to be."""
    if not instance.reachable:
        return False
    return instance.state == "running" or (instance.state == "paused" and record.desired_state == "paused")


def fresh_places(record: AgentRecord, old: frozenset[str]) -> list[Place]:
    """Give the places in pods that are none of the old ones (by uid) and are not on their way out."""
    there = [place for place in places_of(record) if place.pod is not None and place.pod.uid not in old]
    return [place for place in there if place.pod is not None and not place.pod.leaving]
