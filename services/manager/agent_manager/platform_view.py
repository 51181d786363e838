"""What the platform tells of pods and workloads, taken into the roster.

Pods are known by their uid alone, and a pod decides that the process in it exists: while it is there silence drops
nobody, and when it is gone nobody is left. What the kubelet rewrites without changing it costs one comparison.
"""

from agent_contract.wire import DesiredState, ProblemState
from msgspec.structs import replace

from agent_manager import desired_states
from agent_manager.attachments import has_ended
from agent_manager.discovery.events import Denied, PodGone, PodSeen, WorkloadGone, WorkloadSeen
from agent_manager.journal import Kind, Level
from agent_manager.platform import Pod, Workload
from agent_manager.pod_index import host_of
from agent_manager.records import AgentRecord, Instance
from agent_manager.roster import Roster

PlatformEvent = PodSeen | PodGone | WorkloadSeen | WorkloadGone | Denied


class PlatformView:
    """Applies what is told of pods and workloads."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._fleet = roster.fleet
        self._denied: dict[str, ProblemState] = {}

    def apply(self, event: PlatformEvent, now: float) -> None:
        """Take one event."""
        if isinstance(event, PodSeen):
            self._pod_seen(event.pod, now)
        elif isinstance(event, PodGone):
            self._pod_gone(event.uid, now)
        elif isinstance(event, WorkloadSeen):
            self._workload_seen(event.workload, now)
        elif isinstance(event, WorkloadGone):
            self._workload_gone(event.uid, now)
        else:
            self._denied_or_not(event, now)

    # --- pods ---------------------------------------------------------------------------------------------------------

    def _pod_seen(self, pod: Pod, now: float) -> None:
        before = self._fleet.pods.get(pod.uid)
        if before is not None and before.leaving and not pod.leaving:  # told of late: a deletion is not called off
            pod = replace(pod, leaving=True)
        if before == pod:
            return
        if before is not None and before.agent_id != pod.agent_id:
            self._pod_gone(pod.uid, now)
            before = None
        record = self._fleet.agent(pod.agent_id, now)
        self._fleet.put_pod(pod)
        known = self._fleet.pods.process_in(pod.uid)
        if known is not None and before is not None and _has_moved(before, pod):
            self._drop(known, now)
        elif known is not None and has_ended(known):
            self._roster.drop(known, "withdrawn", now)
        process = self._fleet.pods.process_in(pod.uid) or self._roster.fill(pod, now)
        if process is not None and pod.leaving and process.platform_state is None:
            was, process.platform_state = process.state, "stopping"
            self._roster.told_to_stop(process, was, now)
        if before is not None and host_of(before) != host_of(pod):
            self._fill_others(before, now)
        self._tell(before, pod, process)
        self._look_into_denials(record)
        self._tell_of(record, now, visible=before is None or process is not known or _shows(before) != _shows(pod))

    def _pod_gone(self, uid: str, now: float) -> None:
        pod = self._fleet.pods.get(uid)
        if pod is None:
            return
        record = self._fleet.agents[pod.agent_id]
        process = self._fleet.remove_pod(pod, now)
        self._look_into_denials(record)
        self._fill_others(pod, now)
        if process is None:
            self._roster.publish(record, now)
        else:
            self._drop(process, now)

    def _drop(self, process: Instance, now: float) -> None:
        """Take away the process of a pod, or of a sandbox, that is gone; who gets its address is no successor."""
        self._fleet.orphan(process)
        self._roster.forget_slot(process)
        self._roster.drop(process, "withdrawn", now)

    def _fill_others(self, pod: Pod, now: float) -> None:
        """Look again who is in the other pods of its agent that had its address: now there may be no doubt."""
        for other in tuple(self._fleet.pods.at_host(host_of(pod) or "")):
            if other.agent_id == pod.agent_id and self._fleet.pods.is_bare(other.uid):
                self._roster.fill(other, now)

    def _tell(self, before: Pod | None, pod: Pod, process: Instance | None) -> None:
        """Write into the journal what somebody must look at, each time that it becomes another."""
        instance_id = pod.uid if process is None else process.instance_id
        if pod.problem is not None and (before is None or not _is_same(before.problem, pod.problem)):
            message = f"{pod.name}: {pod.problem.detail}"
            self._record("verdict", pod, "pod-problem", message, instance_id, level="warning")
        if process is None and pod.leaving and not (before is not None and before.leaving):
            self._record("agent", pod, "stopping", f"{pod.name} is being deleted: no process was known in it", pod.uid)

    def _record(
        self, kind: Kind, pod: Pod, code: str, message: str, instance_id: str, *, level: Level = "info"
    ) -> None:
        self._roster.journal.record(kind, pod.agent_id, code, message, instance_id=instance_id, level=level)

    # --- workloads ----------------------------------------------------------------------------------------------------

    def _workload_seen(self, workload: Workload, now: float) -> None:
        before = self._fleet.workloads.get(workload.uid)
        if before == workload:
            return
        if before is not None and before.agent_id != workload.agent_id:
            self._workload_gone(workload.uid, now)
            before = None
        record = self._fleet.agent(workload.agent_id, now)
        shown = _of_workloads(record)
        self._fleet.put_workload(workload)
        if desired_states.adopt_from_workload(record, before, workload):
            state, by = record.desired_state, workload.title
            message = f"{record.id} is to be {state}, as {by} says"
            self._roster.journal.record("agent", record.id, f"desired-{state}", message)
        self._look_into_denials(record)
        self._tell_of(record, now, visible=before is None or _of_workloads(record) != shown)

    def _workload_gone(self, uid: str, now: float) -> None:
        workload = self._fleet.workloads.get(uid)
        if workload is None:
            return
        record = self._fleet.agents[workload.agent_id]
        self._fleet.remove_workload(workload, now)
        self._look_into_denials(record)
        self._roster.publish(record, now)

    def _tell_of(self, record: AgentRecord, now: float, *, visible: bool) -> None:
        """Tell of a change; one that listings do not show concerns only those that wait for it, as an action does."""
        if visible:
            self._roster.publish(record, now)
        else:
            self._roster.changes.wake(record.id)

    # --- where the manager may not look -------------------------------------------------------------------------------

    def _denied_or_not(self, event: Denied, now: float) -> None:
        known = self._denied.get(event.namespace)
        if event.problem is None:
            self._denied.pop(event.namespace, None)
        elif known is None or (known.code, known.detail) != (event.problem.code, event.problem.detail):
            self._denied[event.namespace] = event.problem
        for record in self._fleet.agents.values():
            was = record.denied
            self._look_into_denials(record, lifted=True)
            if record.denied != was:
                self._roster.publish(record, now)

    def _look_into_denials(self, record: AgentRecord, *, lifted: bool = False) -> None:
        """Note whether a namespace of the agent's pods and workloads cannot be looked into."""
        if not self._denied and not lifted:
            return
        parts: list[Pod | Workload] = [*record.pods.values(), *record.workloads.values()]
        there = {part.namespace for part in parts}
        problems = [problem for namespace, problem in self._denied.items() if namespace in there]
        record.denied = min(problems, key=lambda problem: problem.since, default=None)


def _has_moved(before: Pod, pod: Pod) -> bool:
    """Tell whether a pod got another address: its sandbox was made anew, and none of its processes outlived that."""
    old, new = host_of(before), host_of(pod)
    return old is not None and new is not None and old != new


def _shows(pod: Pod) -> Pod:
    """Give the pod as far as listings show it."""
    return replace(pod, created_at=None, running=False)


def _of_workloads(record: AgentRecord) -> tuple[DesiredState, int | None, ProblemState | None, Workload | None]:
    """Give what listings show of an agent's workloads."""
    waiting = record.waiting_workload
    return record.desired_state, record.desired_instances, record.denied, waiting


def _is_same(known: ProblemState | None, problem: ProblemState) -> bool:
    """Tell whether this problem was known: of one that goes on only the words change, as the kubelet counts."""
    return known is not None and (known.code, known.since) == (problem.code, problem.since)
