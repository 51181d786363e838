"""Every pod that the platform tells of, found by uid and by address, and the process that is known in each.

A pod is one place: at most one process is known in it, and a process stays in its pod for life.
"""

from collections.abc import Iterable

from agent_manager.platform import Pod
from agent_manager.records import Instance


class PodIndex:
    """The pods of all agents. It holds no rule."""

    def __init__(self) -> None:
        self._pods: dict[str, Pod] = {}
        self._by_host: dict[str, dict[str, Pod]] = {}
        self._processes: dict[str, Instance] = {}

    def __len__(self) -> int:
        return len(self._pods)

    def get(self, uid: str) -> Pod | None:
        """Give a pod as it was last told of."""
        return self._pods.get(uid)

    def at_host(self, host: str) -> Iterable[Pod]:
        """Give the pods with this address, as `Origin.host` spells it: several where they use their node's network."""
        return self._by_host.get(host, {}).values()

    def process_in(self, uid: str) -> Instance | None:
        """Give the process that is known in a pod."""
        return self._processes.get(uid)

    def is_bare(self, uid: str) -> bool:
        """Tell whether a pod is there, and no process is known in it."""
        return uid in self._pods and uid not in self._processes

    def put(self, pod: Pod) -> Instance | None:
        """Add a pod, or take its newest state; gives the process in it."""
        self._forget_host(pod.uid)
        self._pods[pod.uid] = pod
        host = host_of(pod)
        if host is not None:
            self._by_host.setdefault(host, {})[pod.uid] = pod
        process = self._processes.get(pod.uid)
        if process is not None:
            process.pod = pod
        return process

    def take(self, pod: Pod) -> Instance | None:
        """Take a pod away; gives the process in it, which keeps what was last told of its pod."""
        self._forget_host(pod.uid)
        del self._pods[pod.uid]
        return self._processes.pop(pod.uid, None)

    def attach(self, instance: Instance, pod: Pod) -> None:
        """Note that this is the process in a pod without one."""
        self._processes[pod.uid] = instance
        instance.pod = pod
        instance.sources.add("kubernetes")

    def release(self, instance: Instance) -> Pod | None:
        """Note that the process left; gives its pod, where that is still there."""
        uid = None if instance.pod is None else instance.pod.uid
        if uid is None or self._processes.get(uid) is not instance:
            return None
        del self._processes[uid]
        return self._pods[uid]

    def _forget_host(self, uid: str) -> None:
        known = self._pods.get(uid)
        host = None if known is None else host_of(known)
        if host is not None:
            del self._by_host[host][uid]
            if not self._by_host[host]:
                del self._by_host[host]


def host_of(pod: Pod) -> str | None:
    """Give the pod's address as `Origin.host` spells it; None as long as it has none."""
    return pod.ip if pod.origin is None else pod.origin.host
