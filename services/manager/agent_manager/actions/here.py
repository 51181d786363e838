"""Orders where nobody but the processes themselves carries them out: on this machine, under compose, in place.

Each instance is told, and obeys by itself.
"""

import asyncio
from typing import Final

from agent_contract.problems import Problem
from agent_contract.wire import AgentActionRequest
from msgspec import UNSET

from agent_manager.actions.action import Action, Error, Step, error
from agent_manager.actions.orders import Orders, Told
from agent_manager.actions.plan import Plan, desired_by, targets_of
from agent_manager.answers import unavailable
from agent_manager.leadership import Leadership
from agent_manager.records import AgentRecord
from agent_manager.registry import Registry

NOT_THE_LEADER: Final[Error] = error("no-leader", "another manager acts now; instances already told go on")


class Here:
    """Tells the instances that there are."""

    def __init__(self, registry: Registry, orders: Orders, leadership: Leadership) -> None:
        self._registry = registry
        self._orders = orders
        self._leadership = leadership

    async def plan(self, record: AgentRecord, request: AgentActionRequest) -> Plan:
        """Give what follows: all are told at once, or restarted one after the other.

        Raises:
            Problem: 404 `unknown-instance`, 409 `stale-instance`, `not-supported`, 400 `bad-request`, 503 `unavailable`
                for a restart of nothing.

        """
        _refuse_unsupported(record.id, request)
        targets = targets_of(self._registry, record, request.instance_id)
        if request.action == "restart" and not targets:
            raise unavailable(f"no instance of {record.id} is there to restart: it is {record.state}")
        course = self.restart_in_turn if request.action == "restart" else self.tell_all
        return Plan([instance.instance_id for instance in targets], course, record.id, desired_by(request))

    async def tell_all(self, action: Action, told: asyncio.Event) -> None:
        """Tell every instance at once; one that fails holds up none of the others."""
        await self.tell_each(action, action.steps, told)

    async def tell_each(self, action: Action, steps: list[Step], told: asyncio.Event) -> None:
        """Tell these instances at once, and wait until those that are told to stop have left."""
        try:
            async with asyncio.TaskGroup() as group:
                answers = [group.create_task(self._orders.tell(action, step)) for step in steps]
            taken = [(step, answer.result()) for step, answer in zip(steps, answers, strict=True)]
            draining = [(step, said) for step, said in taken if said is not None and not step.over]
            for step, _ in draining:
                step.state = "draining" if action.verb == "stop" else "done"
            told.set()
            async with asyncio.TaskGroup() as group:
                for step, said in draining:
                    group.create_task(self._orders.until_gone(action, step, said))
        finally:
            self._orders.forget(steps)

    async def restart_in_turn(self, action: Action, told: asyncio.Event) -> None:
        """Tell the next instance when the last one is back; after one that failed the rest is left alone."""
        while (step := next((one for one in action.steps if one.state == "waiting"), None)) is not None:
            if not self._leadership.is_leader:  # its lease ran out while this process was suspended
                action.give_up(NOT_THE_LEADER)
                return
            taken = await self._orders.tell(action, step)
            self._orders.forget([step])  # it is to come back: how it leaves says nothing
            if taken is not None and not step.over:
                _drains(step, taken)
                told.set()
                await self._orders.until_back(action, step, taken)
            if step.state == "failed":
                action.give_up(error("unavailable", "left alone: an instance before it failed"))


def _refuse_unsupported(agent_id: str, request: AgentActionRequest) -> None:
    if request.action == "start":
        raise Problem(
            "not-supported",
            f"start {agent_id} where it runs: agentctl up {agent_id}, or docker compose start {agent_id}",
        )
    if request.strategy is not UNSET:
        raise Problem(
            "not-supported", f"there is no rollout here: leave the strategy out to restart {agent_id} in place"
        )


def _drains(step: Step, taken: Told) -> None:
    """Note that a restart drains the instance, unless something else does: then it does not come back."""
    step.state = "draining"
    drain = taken.status.drain
    if drain is not None and drain.reason != "restart":
        step.fail(error("stopping", f"it leaves for good: a {drain.reason} drains it"))
