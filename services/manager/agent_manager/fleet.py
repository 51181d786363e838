"""The records and the ways to find them: by agent, by instance id, by address, by pod. It holds no rule."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from agent_contract.config import Agent
from agent_contract.wire import DesiredState

from agent_manager.agent_client import Origin
from agent_manager.platform import Pod, Workload
from agent_manager.pod_index import PodIndex
from agent_manager.records import AgentRecord, Instance

_V = TypeVar("_V")

_MOST_REMEMBERED: Final = 100_000
_MOST_ORDERS: Final = 10_000
"""Bounds of what is remembered of those that are gone, about 10 MB each and 1 MB; the oldest is forgotten first."""


class Fleet:
    """Every agent, instance, pod and workload, and what is remembered of those that were there."""

    def __init__(self, agents: Iterable[Agent], now: float) -> None:
        self.agents: dict[str, AgentRecord] = {
            agent.id: AgentRecord(id=agent.id, configured=agent, unroutable_since=now) for agent in agents
        }
        self.instances: dict[str, Instance] = {}
        self.pods = PodIndex()
        self.workloads: dict[str, Workload] = {}
        """Of all agents, by uid."""
        self._by_origin: dict[Origin, Instance] = {}
        self._by_host: dict[str, dict[str, Instance]] = {}
        self._retired: dict[str, None] = {}
        self._orphans: dict[str, str] = {}
        self._by_registrant: Counter[str] = Counter()
        self._emptied_at: dict[str, float] = {}
        self._orders: dict[str, DesiredState] = {}

    def agent(self, agent_id: str, now: float) -> AgentRecord:
        """Give the agent's record; a new one has the order that was last given to an agent of this id."""
        record = self.agents.get(agent_id)
        if record is None:
            record = AgentRecord(id=agent_id, unroutable_since=now)
            order = self._orders.pop(agent_id, None)
            if order is not None:
                record.desired_state, record.ordered = order, True
            self.agents[agent_id] = record
        return record

    # --- instances ----------------------------------------------------------------------------------------------------

    def add(self, instance: Instance) -> None:
        """Add an instance; its address must be free."""
        self.instances[instance.instance_id] = instance
        self._put_at(instance, instance.origin)
        if instance.registrant is not None:
            self._by_registrant[instance.registrant] += 1
        self.agents[instance.agent_id].instances[instance.instance_id] = instance
        self._emptied_at.pop(instance.agent_id, None)

    def remove(self, instance: Instance, now: float) -> None:
        """Take an instance away; its agent stays, and so does its pod, without a process."""
        record = self.agents[instance.agent_id]
        del self.instances[instance.instance_id], record.instances[instance.instance_id]
        self._take_from(instance)
        if instance.registrant is not None:
            self._by_registrant[instance.registrant] -= 1
            if not self._by_registrant[instance.registrant]:
                del self._by_registrant[instance.registrant]
        pod = self.pods.release(instance)
        if pod is not None:
            record.bare_pods[pod.uid] = pod
        self._look_if_empty(record, now)

    def count_of(self, registrant: str) -> int:
        """Give how many instances this one registered."""
        return self._by_registrant[registrant]

    def move(self, instance: Instance, origin: Origin) -> None:
        """Give an instance another address, which must be free."""
        self._take_from(instance)
        self._put_at(instance, origin)

    def at(self, origin: Origin) -> Instance | None:
        """Give the instance at this address."""
        return self._by_origin.get(origin)

    def at_host(self, host: str) -> Iterable[Instance]:
        """Give the instances at any port of this host, as `Origin.host` spells it."""
        return self._by_host.get(host, {}).values()

    def _put_at(self, instance: Instance, origin: Origin) -> None:
        instance.origin = origin
        self._by_origin[origin] = instance
        self._by_host.setdefault(origin.host, {})[instance.instance_id] = instance

    def _take_from(self, instance: Instance) -> None:
        origin = instance.origin
        del self._by_origin[origin], self._by_host[origin.host][instance.instance_id]
        if not self._by_host[origin.host]:
            del self._by_host[origin.host]

    # --- pods and workloads -------------------------------------------------------------------------------------------

    def put_pod(self, pod: Pod) -> None:
        """Add a pod, or take its newest state; its process shows it."""
        record = self.agents[pod.agent_id]
        process = self.pods.put(pod)
        record.pods[pod.uid] = pod
        if process is None:
            record.bare_pods[pod.uid] = pod
        self._emptied_at.pop(record.id, None)

    def remove_pod(self, pod: Pod, now: float) -> Instance | None:
        """Take a pod away; gives its process, which is still there."""
        record = self.agents[pod.agent_id]
        process = self.pods.take(pod)
        del record.pods[pod.uid]
        record.bare_pods.pop(pod.uid, None)
        self._look_if_empty(record, now)
        return process

    def has_pod_of(self, instance: Instance) -> bool:
        """Tell whether the pod of an instance, also of one that left, is still there."""
        return instance.pod is not None and self.pods.get(instance.pod.uid) is not None

    def attach(self, instance: Instance, pod: Pod) -> None:
        """Note that this instance is the process in a pod without one."""
        self.pods.attach(instance, pod)
        self.agents[pod.agent_id].bare_pods.pop(pod.uid, None)

    def put_workload(self, workload: Workload) -> None:
        """Add a workload, or take its newest state."""
        self.workloads[workload.uid] = workload
        self.agents[workload.agent_id].workloads[workload.uid] = workload
        self._emptied_at.pop(workload.agent_id, None)

    def remove_workload(self, workload: Workload, now: float) -> None:
        """Take a workload away."""
        record = self.agents[workload.agent_id]
        del self.workloads[workload.uid], record.workloads[workload.uid]
        self._look_if_empty(record, now)

    # --- those that are gone ------------------------------------------------------------------------------------------

    def retire(self, instance_id: str) -> None:
        """Remember an id that was replaced: it does not come back."""
        _remember(self._retired, instance_id, None)

    def is_retired(self, instance_id: str) -> bool:
        """Tell whether this id was replaced."""
        return instance_id in self._retired

    def orphan(self, instance: Instance) -> None:
        """Remember whose pod is gone: should it be heard of again, the next pod with its address is not its own."""
        if instance.pod is not None:
            _remember(self._orphans, instance.instance_id, instance.pod.uid)

    def lost_pod_of(self, instance_id: str) -> str | None:
        """Give the uid of the pod with which this instance went."""
        return self._orphans.get(instance_id)

    def forget_emptied(self, before: float) -> Iterator[AgentRecord]:
        """Forget the agents that are not of the file and whose last part left before that; give each.

        What was ordered for one outlives it: an agent that was paused comes back paused, however long it was away.
        """
        while (first := next(iter(self._emptied_at), None)) is not None and self._emptied_at[first] <= before:
            del self._emptied_at[first]
            record = self.agents.pop(first)
            if record.ordered and record.desired_state == "paused":
                self._orders[first] = record.desired_state
                while len(self._orders) > _MOST_ORDERS:
                    del self._orders[next(iter(self._orders))]
            yield record

    def _look_if_empty(self, record: AgentRecord, now: float) -> None:
        if record.configured is None and not (record.instances or record.pods or record.workloads):
            self._emptied_at[record.id] = now


def _remember(known: dict[str, _V], key: str, value: _V) -> None:
    known[key] = value
    while len(known) > _MOST_REMEMBERED:
        del known[next(iter(known))]
