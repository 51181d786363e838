"""Agents, their instances and pods as listings show them; the order of members is part of the promise."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from agent_contract.wire import DesiredState, Drain, ProblemState, State
from msgspec import UNSET, Struct, UnsetType

from agent_manager.platform import Pod
from agent_manager.records import AgentRecord, Instance, Source


class PodView(Struct, rename="camel", frozen=True):
    """The pod of an instance; `restarts` are those of its adapter's container."""

    name: str
    namespace: str
    node: str | None
    ip: str | None
    image: str | None
    phase: str
    ready: bool
    restarts: int
    reason: str | UnsetType = UNSET


class InstanceView(Struct, rename="camel", frozen=True):
    """An instance as listings show it: a process, or a pod in which none is known yet."""

    instance_id: str
    service_url: str
    state: State
    reachable: bool
    source: Source
    registered_at: datetime | None
    last_seen: datetime | None
    started_at: datetime | None
    version: str | None
    adapter_version: str | None
    restarts: int
    max_concurrency: int | None
    current_task: str | None = msgspec.field(name="current_task")
    running: int
    queued: int
    drain: Drain | None
    problem: ProblemState | None
    pod: PodView | UnsetType = UNSET


class AgentView(Struct, rename="camel", frozen=True):
    """An agent as listings show it."""

    id: str
    name: str | None
    description: str | None
    state: State
    desired_state: DesiredState
    parameters_schema: dict[str, Any] | None
    sources: list[str]
    ready_instances: int
    desired_instances: int | None
    problem: ProblemState | None
    instances: list[InstanceView]


UNSEEN: Final = datetime(1, 1, 1, tzinfo=UTC)
"""A time at which nobody was heard of: it marks the places where `lastSeen` is filled in."""


def view(record: AgentRecord, *, unseen: bool = False) -> AgentView:
    """Give an agent as listings show it; `unseen`: with `UNSEEN` for what is known of when its processes were heard."""
    processes = [instance_view(one, UNSEEN if unseen else one.last_seen) for one in record.instances.values()]
    return AgentView(
        id=record.id,
        name=record.name,
        description=record.description,
        state=record.state,
        desired_state=record.desired_state,
        parameters_schema=record.parameters_schema,
        sources=record.sources,
        ready_instances=sum(instance.routable for instance in record.instances.values()),
        desired_instances=record.desired_instances,
        problem=record.problem,
        instances=processes + [bare_pod_view(pod) for pod in record.bare_pods.values()],
    )


def instance_view(instance: Instance, last_seen: datetime | None) -> InstanceView:
    """Give an instance as listings show it."""
    pod = instance.pod
    return InstanceView(
        instance_id=instance.instance_id,
        service_url=instance.service_url,
        state=instance.state,
        reachable=instance.reachable,
        source=instance.source,
        registered_at=instance.registered_at,
        last_seen=last_seen,
        started_at=instance.started_at,
        version=instance.version,
        adapter_version=instance.adapter_version,
        restarts=max(instance.restarts, 0 if pod is None else pod.restarts),
        max_concurrency=instance.max_concurrency,
        current_task=instance.current_task,
        running=instance.running,
        queued=instance.queued,
        drain=instance.drain,
        problem=instance.problem,
        pod=UNSET if pod is None else pod_view(pod),
    )


def bare_pod_view(pod: Pod) -> InstanceView:
    """Give a pod in which no process is known as an instance of its own."""
    return InstanceView(
        instance_id=pod.uid,
        service_url="" if pod.origin is None else str(pod.origin),
        state=pod.state,
        reachable=False,
        source="kubernetes",
        registered_at=None,
        last_seen=None,
        started_at=None,
        version=None,
        adapter_version=None,
        restarts=pod.restarts,
        max_concurrency=None,
        current_task=None,
        running=0,
        queued=0,
        drain=None,
        problem=pod.problem,
        pod=pod_view(pod),
    )


def pod_view(pod: Pod) -> PodView:
    """Give what listings show of a pod."""
    return PodView(
        name=pod.name,
        namespace=pod.namespace,
        node=pod.node,
        ip=pod.ip,
        image=pod.image,
        phase=pod.phase,
        ready=pod.ready,
        restarts=pod.restarts,
        reason=pod.reason or UNSET,
    )
