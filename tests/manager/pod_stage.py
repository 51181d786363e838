"""A registry of which a test is the platform too: it says which pods and workloads there are."""

from datetime import timedelta
from typing import Any

from agent_contract.wire import Info, ProblemState, State
from agent_manager.agent_client import Origin
from agent_manager.discovery.events import Denied, PodGone, PodSeen, Seen, WorkloadGone, WorkloadSeen
from agent_manager.platform import Pod, Workload

from tests.manager.stage import EPOCH, Stage, agent_of, status_of

NAMESPACE = "prod"
DENIED = ProblemState("rbac-denied", "cannot list pods in prod: Forbidden", EPOCH)
OUT_OF_MEMORY = ProblemState("oom-killed", "container agent was killed for its memory; restarted 3 times", EPOCH)


def url_in(ip: str, port: int = 8100) -> str:
    """Give the service URL of a process in the pod with this address."""
    return f"http://{ip}:{port}"


def make_pod(uid: str, ip: str | None = None, *, port: int = 8100, **facts: Any) -> Pod:
    """Give pod `p1`, named `a-p1`, of agent `a` unless `agent_id` says otherwise; it runs once it has an address."""
    known: dict[str, Any] = {
        "uid": uid,
        "agent_id": "a",
        "namespace": NAMESPACE,
        "created_at": EPOCH + timedelta(seconds=int(uid[1:])),
        "ip": ip,
        "origin": None if ip is None else Origin(ip, port),
        "phase": "Pending" if ip is None else "Running",
        "running": ip is not None,
    }
    known |= facts
    return Pod(name=f"{known['agent_id']}-{uid}", **known)


class PodStage(Stage):
    """A registry and its platform."""

    def pod(self, uid: str, ip: str | None = None, **facts: Any) -> Pod:
        """Let a pod be seen."""
        pod = make_pod(uid, ip, **facts)
        self.registry.apply(PodSeen(pod=pod))
        return pod

    def pod_gone(self, uid: str) -> None:
        """Let a pod be gone."""
        self.registry.apply(PodGone(uid=uid))

    def workload(self, uid: str = "w1", replicas: int = 1, **facts: Any) -> Workload:
        """Let a workload of agent `a` be seen."""
        known: dict[str, Any] = {"agent_id": "a", "kind": "Deployment", "namespace": NAMESPACE, "name": uid} | facts
        workload = Workload(uid=uid, replicas=replicas, **known)
        self.registry.apply(WorkloadSeen(workload=workload))
        return workload

    def workload_gone(self, uid: str = "w1") -> None:
        """Let a workload be gone."""
        self.registry.apply(WorkloadGone(uid=uid))

    def denied(self, problem: ProblemState | None = DENIED, namespace: str = NAMESPACE) -> None:
        """Let the manager be refused to look into a namespace, or be let in again."""
        self.registry.apply(Denied(namespace=namespace, problem=problem))

    def answers_in(self, uid: str, instance_id: str, ip: str, *, port: int = 8100, status: State = "running") -> None:
        """Let a process answer that was asked at the address of a pod."""
        info = Info(agent_of(instance_id), instance_id)
        said = status_of(instance_id, status)
        self.registry.apply(
            Seen(source="kubernetes", service_url=url_in(ip, port), info=info, status=said, pod_uid=uid)
        )

    def bare(self, agent_id: str = "a") -> list[str]:
        """Give the uids of the pods in which no process is known."""
        return list(self.agent(agent_id).bare_pods)

    def pod_of(self, instance_id: str) -> str | None:
        """Give the uid of the pod that an instance is in."""
        pod = self[instance_id].pod
        return None if pod is None else pod.uid
