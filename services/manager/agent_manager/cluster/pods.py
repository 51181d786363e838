"""From the API's pod to the manager's: which container is the adapter, where it listens, how it is."""

import ipaddress
from datetime import datetime
from typing import Final

from msgspec import Struct

from agent_manager.agent_client import Origin
from agent_manager.cluster.objects import PORT_ANNOTATION, Container, ContainerStatus, PodObject, PodSpec, PodStatus
from agent_manager.cluster.pod_problems import verdict
from agent_manager.platform import Pod

PORT_NAME: Final = "http"
DEFAULT_PORT: Final = 8100
_MAX_PORT: Final = 65535
_MAX_PORT_DIGITS: Final = 5
_ENDED: Final = frozenset(("Failed", "Succeeded"))


class Reading(Struct, frozen=True):
    """A pod, and from when on its object, unchanged, reads otherwise: None for never."""

    pod: Pod
    again_at: datetime | None = None


def has_ended(thing: PodObject) -> bool:
    """Tell whether no container of it will run again: for the manager it is gone."""
    return thing.status is not None and thing.status.phase in _ENDED


def read_pod(thing: PodObject, now: datetime) -> Reading:
    """Give the pod that an object of the API describes, as of `now`.

    A problem is told of while it lasts, and a death for want of memory for ten minutes more; a pod that leaves has
    none, for containers that are being ended look like containers that crash.
    """
    status = thing.status or PodStatus()
    adapter = adapter_container(thing.spec)
    seen = None if adapter is None else _status_of(status, adapter.name)
    leaving = thing.metadata.deletion_timestamp is not None
    found = verdict(thing, adapter, now)
    pod = Pod(
        uid=thing.metadata.uid,
        agent_id=thing.metadata.agent_id,
        namespace=thing.metadata.namespace,
        name=thing.metadata.name,
        created_at=thing.metadata.creation_timestamp,
        node=thing.spec.node_name,
        ip=status.pod_ip or None,
        origin=_origin(status.pod_ip, adapter_port(thing, adapter)),
        image=None if adapter is None else adapter.image,
        phase=status.phase or "Pending",
        ready=any(one.type == "Ready" and one.status == "True" for one in status.conditions or ()),
        restarts=0 if seen is None else seen.restart_count,
        reason=found.reason or status.reason,
        leaving=leaving,
        running=seen is not None and seen.state is not None and seen.state.running is not None,
        problem=None if leaving else found.problem,
    )
    return Reading(pod, None if leaving else found.again_at)


def adapter_container(spec: PodSpec) -> Container | None:
    """Give the container that the adapter is in: the one with the port named `http`, else the first."""
    containers = list(spec.containers or ())
    sidecars = [one for one in spec.init_containers or () if one.restart_policy == "Always"]
    named = (one for one in (*containers, *sidecars) if _named_port(one) is not None)
    return next(named, containers[0] if containers else None)


def adapter_port(thing: PodObject, adapter: Container | None) -> int:
    """Give the port that the adapter listens on: the one named `http`, else the annotation's, else 8100."""
    return (adapter and _named_port(adapter)) or annotated_port(thing) or DEFAULT_PORT


def annotated_port(thing: PodObject) -> int | None:
    """Give the annotation's port; None where there is none, or it is no port."""
    text = thing.metadata.annotation(PORT_ANNOTATION) or ""
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_PORT_DIGITS
    return int(text) if is_number and 0 < int(text) <= _MAX_PORT else None


def _named_port(container: Container) -> int | None:
    return next((port.container_port for port in container.ports or () if port.name == PORT_NAME), None)


def _status_of(status: PodStatus, name: str) -> ContainerStatus | None:
    every = (*(status.container_statuses or ()), *(status.init_container_statuses or ()))
    return next((one for one in every if one.name == name), None)


def _origin(ip: str | None, port: int) -> Origin | None:
    """Give where to call; None without an address, or with one that no pod has."""
    try:
        address = ipaddress.ip_address(ip or "")
    except ValueError:
        return None
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return None
    return Origin(str(address), port)
