"""What a test knows by its own book-keeping of pods, of the processes in them, and of what was ordered."""

from agent_contract.wire import DesiredState
from agent_manager.departures import Departure
from agent_manager.platform import Pod, Workload
from agent_manager.records import Instance

from tests.manager.pod_stage import PodStage
from tests.manager.stage import TIMING

TTL = TIMING.ttl_seconds


class PodBook:
    """Follows the rules in the plainest way: by looking at everything each time."""

    def __init__(self, stage: PodStage) -> None:
        self.registry = stage.registry
        self.clock = stage.clock
        self.pods: dict[str, Pod] = {}
        self.workloads: dict[str, Workload] = {}
        self.desired: dict[str, tuple[DesiredState, bool]] = {}
        self.withdrawn: dict[str, str] = {}
        """The pod with which each process went."""
        self.going: set[str] = set()
        """The pods that an event takes away, or whose address it changes."""
        self.registry.departed.append(self.left)

    # --- pods ---------------------------------------------------------------------------------------------------------

    def see(self, pod: Pod) -> Pod:
        """Note a pod before it is told of; gives it as it is to be known."""
        before = self.pods.pop(pod.uid, None)
        if before is not None and before.agent_id == pod.agent_id and None not in (before.ip, pod.ip):
            self.going = {pod.uid} if before.ip != pod.ip else set()
        elif before is not None and before.agent_id != pod.agent_id:
            self.going = {pod.uid}
        self.pods[pod.uid] = pod
        return pod

    def gone(self, uid: str) -> None:
        """Note that a pod is gone before it is told."""
        self.pods.pop(uid, None)
        self.going = {uid}

    def left(self, departure: Departure) -> None:
        """Check that a departure is by the rules: a pod alone decides of its process, silence of all others."""
        instance, reason = departure.instance, departure.reason
        silent = self.clock.now - instance.heard_at
        if reason == "withdrawn":
            pod = instance.pod
            assert pod is not None
            if not pod.running and not pod.leaving and not instance.reachable and self.pods.get(pod.uid) == pod:
                return  # nothing runs in it, and nobody answers
            assert pod.uid in self.going
            self.withdrawn[instance.instance_id] = pod.uid
        elif reason == "expired":
            assert silent >= TTL
            assert instance.pod is None or self.shares_its_place(instance)
        elif reason == "mass-loss":
            assert instance.pod is None

    def shares_its_place(self, instance: Instance) -> bool:
        """Tell whether another process without a pod is at the address of this one's pod."""
        others = (one for one in self.registry.instances.values() if one.agent_id == instance.agent_id)
        ip = None if instance.pod is None else instance.pod.ip
        return any(one.pod is None and one.origin.host == ip for one in others)

    def could_be_in(self, instance: Instance) -> set[str]:
        """Give the pods without a process that this one is in, for all that is known."""
        here = [pod for pod in self.pods.values() if pod.ip == instance.origin.host]
        here = [pod for pod in here if pod.agent_id == instance.agent_id]
        alone = len(here) == 1
        fitting = [pod for pod in here if alone or (pod.origin and pod.origin.port == instance.origin.port)]
        taken = {one.pod.uid for one in self.registry.instances.values() if one.pod is not None}
        lost = self.withdrawn.get(instance.instance_id)
        return {pod.uid for pod in fitting if pod.uid not in taken and lost in (None, pod.uid)}

    # --- what was ordered ---------------------------------------------------------------------------------------------

    def wanted(self, agent_id: str) -> tuple[DesiredState, bool]:
        """Give what is ordered of an agent, and whether by an operator."""
        return self.desired.get(agent_id, ("running", False))

    def told(self, agent_id: str, desired: DesiredState | None) -> None:
        """Note what an adapter brings along."""
        if desired == "paused" and not self.wanted(agent_id)[1]:
            self.desired[agent_id] = ("paused", False)

    def appears(self, instance: Instance) -> None:
        """Note that an instance is new: it may end a stop."""
        agent_id = instance.agent_id
        mine = [one for one in self.workloads.values() if one.agent_id == agent_id]
        down = bool(mine) and not any(one.replicas for one in mine) and any(_said(one) == "stopped" for one in mine)
        if self.wanted(agent_id)[0] == "stopped" and instance.state != "stopping" and not down:
            self.desired[agent_id] = ("running", False)

    def see_workload(self, workload: Workload) -> None:
        """Note a workload: what is new of its word is an order."""
        before = self.workloads.get(workload.uid)
        silent = before is None and workload.desired_state is None
        if not silent and (before is None or _said(before) != _said(workload)):
            self.desired[workload.agent_id] = (_said(workload), True)
        self.workloads[workload.uid] = workload

    def forget(self) -> None:
        """Note which agents are not known any more: all that is remembered of one is that it was paused."""
        for agent_id in self.desired.keys() - self.registry.agents.keys():
            if self.desired[agent_id] != ("paused", True):
                del self.desired[agent_id]


def _said(workload: Workload) -> DesiredState:
    if workload.desired_state == "stopped" and workload.replicas:
        return "running"
    return workload.desired_state or "running"
