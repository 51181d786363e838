"""What an order leads to, which is another thing where a platform runs the agent's processes."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from agent_contract.problems import Problem
from agent_contract.wire import AgentActionRequest, DesiredState
from msgspec import UNSET, Struct, UnsetType

from agent_manager.actions.action import Action, Verb
from agent_manager.answers import unavailable
from agent_manager.records import AgentRecord, Instance
from agent_manager.registry import Registry

Course = Callable[[Action, asyncio.Event], Coroutine[Any, Any, None]]
"""What follows an order until its end. It sets the event once those that are told at once have answered."""

DESIRED: Final[dict[Verb, DesiredState]] = {"pause": "paused", "resume": "running", "stop": "stopped"}


class Plan(Struct, frozen=True):
    """What is to follow an order that can be carried out."""

    instance_ids: list[str]
    """Those that it is about, in the order in which they are told."""
    course: Course
    subject: str
    """What it is about, for people."""
    desired_state: DesiredState | None = None
    """What the agent is to be from now on; None: that does not change."""


class Platform(Protocol):
    """What runs an agent's processes, as far as orders go."""

    async def plan(self, record: AgentRecord, request: AgentActionRequest) -> Plan:
        """Do what comes before any instance is told, and give what is to follow.

        Raises:
            Problem: it cannot be ordered here, or not now; nothing was told to an instance.

        """


def desired_by(request: AgentActionRequest) -> DesiredState | None:
    """Give what the agent is to be by this order; an order to one instance says nothing of the agent."""
    return DESIRED.get(request.action) if request.instance_id is UNSET else None


def targets_of(registry: Registry, record: AgentRecord, instance_id: str | UnsetType) -> list[Instance]:
    """Give the instances that an order is for; raises Problem as `pick_instance` does."""
    if isinstance(instance_id, UnsetType):
        return list(record.instances.values())
    return [pick_instance(registry, record, instance_id)]


def pick_instance(registry: Registry, record: AgentRecord, instance_id: str) -> Instance:
    """Give an agent's instance.

    Raises:
        Problem: 404 `unknown-instance`, 409 `stale-instance` for an older life, 503 `unavailable` for a pod in which
            nobody answers yet.

    """
    instance = record.instances.get(instance_id)
    if instance is not None:
        return instance
    if instance_id in record.bare_pods:
        pod = record.bare_pods[instance_id]
        why = "" if pod.problem is None else f": {pod.problem.detail}"
        raise unavailable(f"nobody answers in pod {pod.name}{why}")
    if registry.is_stale(instance_id):
        raise Problem("stale-instance", f"{instance_id} of {record.id} was replaced by a newer life")
    raise Problem("unknown-instance", f"{record.id} has no instance {instance_id[:128]!r}")
