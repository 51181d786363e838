"""Which process is in which pod: an instance is in the pod of its agent that has the address of its service URL.

Pods that use their node's network share its address; then the port tells them apart, and where it does not, nobody
guesses: an instance that is taken for that of another pod would go with it.
"""

from datetime import UTC, datetime
from typing import Final

from agent_manager.fleet import Fleet
from agent_manager.platform import Pod
from agent_manager.pod_index import host_of
from agent_manager.records import Instance

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def pod_of(fleet: Fleet, instance: Instance) -> Pod | None:
    """Give the pod that an instance without one is in; None where there is none, or another process is in it.

    A pod may be seen before the one is gone whose address it got: then it is the one that is to stay.
    """
    here = [pod for pod in fleet.pods.at_host(instance.origin.host) if pod.agent_id == instance.agent_id]
    if len(here) > 1:
        here = [pod for pod in here if has_port_of(pod, instance)]
    lost = fleet.lost_pod_of(instance.instance_id)
    free = [pod for pod in here if fleet.pods.is_bare(pod.uid) and lost in (None, pod.uid)]
    return max(free, key=lambda pod: (not pod.leaving, pod.created_at or _LONG_AGO), default=None)


def process_of(fleet: Fleet, pod: Pod) -> Instance | None:
    """Give the instance that is in a pod without one, and was known before it: at its very port, else heard last."""
    host = host_of(pod)
    if host is None:
        return None
    here = [one for one in fleet.at_host(host) if one.pod is None and pod_of(fleet, one) is pod]
    return max(here, key=lambda one: (has_port_of(pod, one), one.heard_at), default=None)


def has_rival(fleet: Fleet, instance: Instance) -> bool:
    """Tell whether another process of its agent is at the address of this one's pod, and has none."""
    host = None if instance.pod is None else host_of(instance.pod)
    others = () if host is None else fleet.at_host(host)
    return any(one.pod is None and one.agent_id == instance.agent_id for one in others)


def has_ended(instance: Instance) -> bool:
    """Tell whether a process is over though its pod goes on: nothing runs there, and nobody answers.

    Either word alone may be old: the kubelet's of a container that was restarted, or a probe's.
    """
    pod = instance.pod
    return pod is not None and not pod.running and not pod.leaving and not instance.reachable


def has_port_of(pod: Pod, instance: Instance) -> bool:
    """Tell whether the instance is at the port where the pod's adapter should be."""
    return pod.origin is not None and pod.origin.port == instance.origin.port
