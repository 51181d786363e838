"""Orders to an agent that Kubernetes runs: written to its workloads first, so that pods to come obey them too."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from agent_contract.problems import Problem
from agent_contract.wire import AgentActionRequest
from msgspec import UNSET, UnsetType

from agent_manager.actions.action import Action
from agent_manager.actions.following import Follower, Wanted
from agent_manager.actions.here import Here
from agent_manager.actions.orders import Orders
from agent_manager.actions.places import places_of
from agent_manager.actions.plan import DESIRED, Plan
from agent_manager.actions.replacement import Rollout, Start, Stop
from agent_manager.answers import unavailable
from agent_manager.cluster.autoscalers import Autoscalers
from agent_manager.cluster.workload_orders import PROGRESS_SECONDS, Found, WorkloadOrders, called
from agent_manager.platform import Pod, Workload
from agent_manager.records import AgentRecord

PATIENCE_SECONDS: Final = PROGRESS_SECONDS
"""How long a start may take, and a stop without a pod that goes."""


class InKubernetes:
    """Carries orders out by an agent's workloads. In place, each process is told as everywhere."""

    def __init__(
        self,
        here: Here,
        orders: Orders,
        follower: Follower,
        workloads: WorkloadOrders,
        autoscalers: Autoscalers,
        wall: Callable[[], datetime],
    ) -> None:
        self._here = here
        self._orders = orders
        self._follower = follower
        self._workloads = workloads
        self._autoscalers = autoscalers
        self._wall = wall

    async def plan(self, record: AgentRecord, request: AgentActionRequest) -> Plan:
        """Write the order to the agent's workloads, and give what follows.

        Raises:
            Problem: what `Here.plan` raises, and what `WorkloadOrders` and `Autoscalers` do.

        """
        if request.action == "stop":
            return await self._plan_stop(record, request)
        if request.action == "start":
            return await self._plan_start(record, request)
        if request.strategy is not UNSET:
            return await self._plan_rollout(record, request)
        if request.action in DESIRED and request.instance_id is UNSET:
            for workload in tuple(record.workloads.values()):
                await self._workloads.keep(workload, DESIRED[request.action])
        return await self._here.plan(record, request)

    async def _plan_stop(self, record: AgentRecord, request: AgentActionRequest) -> Plan:
        if not isinstance(request.instance_id, UnsetType):
            pod = _pod_of(record, request.instance_id)
            if pod is not None:
                raise _replaced(record, pod)
            return await self._here.plan(record, request)  # it came from elsewhere: nobody replaces it
        wanted = []
        for workload in tuple(record.workloads.values()):
            await self._autoscalers.pause(workload)
            wanted.append(_wanted(workload, await self._workloads.scale_down(workload)))
        places = places_of(record)
        for place in places:
            if place.registered:
                self._orders.watch(place.instance_id)

        async def course(action: Action, told: asyncio.Event) -> None:
            elsewhere = [step for step, place in zip(action.steps, places, strict=True) if place.pod is None]
            stop = Stop(action, places, wanted, self._orders)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._here.tell_each(action, elsewhere, told))
                    group.create_task(self._follower.follow(action, stop, PATIENCE_SECONDS))
            finally:
                self._orders.forget(action.steps)

        return Plan([place.instance_id for place in places], course, _subject(record), "stopped")

    async def _plan_start(self, record: AgentRecord, request: AgentActionRequest) -> Plan:
        if request.instance_id is not UNSET:
            detail = f"a start is of the agent: leave the instance out, or scale {_subject(record)} up by kubectl"
            raise Problem("bad-request", detail, field="instanceId")
        old = frozenset(record.pods)  # before the first is scaled: a new pod may be seen before the last one is
        found = [(workload, await self._workloads.read(workload)) for workload in tuple(record.workloads.values())]
        wanted, starting = [], _to_start(found)
        for workload in starting:
            await self._autoscalers.resume(workload)
            wanted.append(_wanted(workload, await self._workloads.scale_up(workload)))
        for workload, now in found:  # one that somebody else scaled down stays so, and says no more that all is stopped
            if starting and workload not in starting and now.is_stopped:
                await self._workloads.keep(workload, "running")

        async def course(action: Action, told: asyncio.Event) -> None:
            told.set()
            await self._follower.follow(action, Start(action, wanted, old), PATIENCE_SECONDS)

        return Plan([], course, _subject(record), "running" if wanted else None)

    async def _plan_rollout(self, record: AgentRecord, request: AgentActionRequest) -> Plan:
        if not isinstance(request.instance_id, UnsetType):
            pod = _pod_of(record, request.instance_id)
            name = "NAME" if pod is None else f"{pod.name} --namespace {pod.namespace}"
            raise Problem("not-supported", f"a rollout is of the agent; to replace one pod: kubectl delete pod {name}")
        if not record.desired_instances:
            raise unavailable(f"no instance of {record.id} is there to restart: it is {record.state}")
        places = [place for place in places_of(record) if place.pod is not None]  # before the first new one comes
        restarted = [
            _wanted(workload, await self._workloads.restart(workload, self._wall()))
            for workload in tuple(record.workloads.values())
        ]
        seconds = max(one.progress_seconds for one in restarted)

        async def course(action: Action, told: asyncio.Event) -> None:
            told.set()
            await self._follower.follow(action, Rollout(action, places, restarted), seconds)

        return Plan([place.instance_id for place in places], course, _subject(record))


def _wanted(workload: Workload, found: Found) -> Wanted:
    return Wanted(workload, found.generation, found.replicas, found.progress_seconds)


def _to_start(found: list[tuple[Workload, Found]]) -> list[Workload]:
    """Give what a start brings up: what a stop took down, else all of an agent that has no pod at all."""
    down = [(workload, now) for workload, now in found if now.replicas == 0]
    kept = [workload for workload, now in down if now.kept_replicas is not None]
    return kept or ([workload for workload, _ in down] if len(down) == len(found) else [])


def _pod_of(record: AgentRecord, instance_id: str) -> Pod | None:
    instance = record.instances.get(instance_id)
    return record.bare_pods.get(instance_id) if instance is None else instance.pod


def _replaced(record: AgentRecord, pod: Pod) -> Problem:
    """Give the 409 with what to type: a pod that leaves is replaced, and only a person knows what is meant."""
    delete = f"kubectl delete pod {pod.name} --namespace {pod.namespace}"
    scale = [
        f"kubectl scale {called(one)} --replicas={max(0, one.replicas - 1)} --namespace {one.namespace}"
        for one in record.workloads.values()
    ]
    fewer = f"; for one fewer: {' or '.join(scale)}" if scale else ""
    return Problem("not-supported", f"Kubernetes replaces a pod that leaves. To have it replaced: {delete}{fewer}")


def _subject(record: AgentRecord) -> str:
    return ", ".join(called(workload) for workload in record.workloads.values()) or record.id
