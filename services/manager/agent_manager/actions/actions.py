"""The actions of this manager: ordered, followed to their end, kept for an hour."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Final, Literal

from agent_contract.identity import new_id
from agent_contract.problems import Problem
from agent_contract.wire import AgentActionRequest, DesiredState
from msgspec import UNSET, UnsetType

from agent_manager.actions.action import Action, Error, Ordered, OrderedInstance, Step, Verb
from agent_manager.actions.orders import Orders, Told, error
from agent_manager.answers import unavailable
from agent_manager.journal import Journal
from agent_manager.records import AgentRecord, Instance
from agent_manager.registry import Registry

Outcome = Literal["succeeded", "failed"]

KEPT_SECONDS: Final = 3600.0
MAX_ACTIONS: Final = 10_000
_DESIRED: Final[dict[Verb, DesiredState]] = {"pause": "paused", "resume": "running", "stop": "stopped"}
_ENDS_RESTARTS: Final = {"stop": "stopping", "pause": "paused"}


class Actions:
    """Takes orders. `spawn` starts what follows in the process's task group."""

    def __init__(
        self,
        registry: Registry,
        orders: Orders,
        journal: Journal,
        *,
        clock: Callable[[], float],
        wall: Callable[[], datetime],
        spawn: Callable[[Coroutine[Any, Any, None]], Any],
        on_end: Callable[[str, Outcome], None],
    ) -> None:
        self._registry = registry
        self._orders = orders
        self._journal = journal
        self._clock = clock
        self._wall = wall
        self._spawn = spawn
        self._on_end = on_end
        self._actions: dict[str, Action] = {}

    async def order(self, agent_id: str, request: AgentActionRequest, by: str | None) -> Ordered:
        """Give the order, and what the instances answered that are told at once.

        Raises:
            Problem: 404 `unknown-agent`, `unknown-instance`, 409 `stale-instance`, `not-supported`, 400 `bad-request`,
                503 `unavailable` for a restart of nothing.

        """
        record = self._known(agent_id)
        _refuse_unsupported(agent_id, request)
        targets = self._targets(record, request.instance_id)
        if request.action == "restart" and not targets:
            raise unavailable(f"no instance of {agent_id} is there to restart: it is {record.state}")
        timeout = None if isinstance(request.timeout_seconds, UnsetType) else request.timeout_seconds
        running = self._restart_of(agent_id)
        if running is not None and request.action == "restart":
            return self._join(running, targets, timeout)
        if running is not None and request.action in _ENDS_RESTARTS and _touches(running, targets):
            self._cut_short(running, _ENDS_RESTARTS[request.action], f"a {request.action} was ordered")
        action = self._begin(record, request, targets, by, timeout)
        told = asyncio.Event()
        self._spawn(self._run(action, told))
        await told.wait()
        return self._ordered(action)

    def find(self, agent_id: str, action_id: str) -> Action:
        """Give an action; raises Problem 404 `unknown-agent` or `unknown-action`."""
        self._known(agent_id)
        self._forget_old()
        action = self._actions.get(action_id)
        if action is None or action.agent_id != agent_id:
            raise Problem("unknown-action", f"no action {action_id[:64]!r} of {agent_id} within the last hour")
        return action

    def list_actions(self, agent_id: str) -> list[Action]:
        """Give the actions of an agent, the last one first; raises Problem 404 `unknown-agent`."""
        self._known(agent_id)
        self._forget_old()
        return [action for action in reversed(self._actions.values()) if action.agent_id == agent_id]

    def called_off(self, agent_id: str, instance_id: str) -> None:
        """End the restart that drains this instance: its drain was called off."""
        running = self._restart_of(agent_id)
        if running is not None and any(step.instance_id == instance_id and not step.over for step in running.steps):
            self._cut_short(running, "not-draining", "its drain was called off")

    # --- beginning ---

    def _begin(
        self,
        record: AgentRecord,
        request: AgentActionRequest,
        targets: list[Instance],
        by: str | None,
        timeout: float | None,
    ) -> Action:
        if request.instance_id is UNSET and request.action in _DESIRED:
            self._registry.set_desired_state(record.id, _DESIRED[request.action], by=by)
        action = Action(
            action_id=new_id(),
            agent_id=record.id,
            verb=request.action,
            by=by,
            started_at=self._wall(),
            steps=[Step(instance.instance_id) for instance in targets],
            timeout_seconds=timeout,
        )
        self._actions[action.action_id] = action
        self._tell_journal(action, "ordered", f"{action.verb} of {len(targets)} instances ordered")
        return action

    def _join(self, running: Action, targets: list[Instance], timeout: float | None) -> Ordered:
        """Let a restart under way take in what it does not cover yet; those that it brought back are fresh."""
        covered = {step.instance_id for step in running.steps} | {step.successor for step in running.steps}
        running.steps += [Step(one.instance_id) for one in targets if one.instance_id not in covered]
        running.timeout_seconds = timeout if timeout is not None else running.timeout_seconds
        return self._ordered(running)

    def _ordered(self, action: Action) -> Ordered:
        told = []
        for step in action.steps:
            instance = self._registry.instances.get(step.instance_id)
            state = "stopped" if instance is None else instance.state
            told.append(OrderedInstance(step.instance_id, state, step.error))
        return Ordered(action.action_id, action.verb, told)

    # --- what follows ---

    async def _run(self, action: Action, told: asyncio.Event) -> None:
        try:
            await (self._restart_in_turn if action.verb == "restart" else self._order_all)(action, told)
        finally:
            _leave_alone(action, error("internal-error", "the manager could not go on with it; its log says why"))
            self._end(action)
            self._orders.forget(action)
            told.set()

    async def _order_all(self, action: Action, told: asyncio.Event) -> None:
        """Tell every instance at once; one that fails holds up none of the others."""
        async with asyncio.TaskGroup() as group:
            answers = [group.create_task(self._orders.tell(action, step)) for step in action.steps]
        draining = []
        for step, answer in zip(action.steps, answers, strict=True):
            taken = answer.result()
            if taken is not None and action.verb == "stop":
                step.state = "draining"
                draining.append((step, taken))
            elif taken is not None:
                step.state = "done"
        told.set()
        async with asyncio.TaskGroup() as group:
            for step, taken in draining:
                group.create_task(self._orders.until_gone(action, step, taken))

    async def _restart_in_turn(self, action: Action, told: asyncio.Event) -> None:
        """Tell the next instance when the last one is back; after one that failed the rest is left alone."""
        while (step := next((one for one in action.steps if one.state == "waiting"), None)) is not None:
            taken = await self._orders.tell(action, step)
            if taken is not None and not step.over:
                _drains(step, taken)
                told.set()
                await self._orders.until_back(action, step, taken)
            if step.state == "failed":
                _leave_alone(action, error("unavailable", "left alone: an instance before it failed"))

    def _cut_short(self, action: Action, code: str, detail: str) -> None:
        _leave_alone(action, error(code, f"the restart was ended: {detail}"))
        self._end(action)

    def _end(self, action: Action) -> None:
        if action.ended_at is not None:
            return
        action.ended_at, action.forget_at = self._wall(), self._clock() + KEPT_SECONDS
        failures = [f"; {step.instance_id}: {step.error['detail']}" for step in action.steps if step.error]
        self._tell_journal(action, action.state, f"{action.verb} {action.state}{''.join(failures)}")
        self._on_end(action.verb, "failed" if action.state == "failed" else "succeeded")

    def _tell_journal(self, action: Action, code: str, message: str) -> None:
        self._journal.record("action", action.agent_id, f"{action.verb}-{code}", message, by=action.by)

    # --- what is known ---

    def _known(self, agent_id: str) -> AgentRecord:
        record = self._registry.find(agent_id)
        if record is None:
            raise Problem("unknown-agent", f"there is no agent {agent_id!r}")
        return record

    def _targets(self, record: AgentRecord, instance_id: str | UnsetType) -> list[Instance]:
        if isinstance(instance_id, UnsetType):
            return list(record.instances.values())
        return [pick_instance(self._registry, record, instance_id)]

    def _restart_of(self, agent_id: str) -> Action | None:
        running = (one for one in self._actions.values() if one.agent_id == agent_id and one.ended_at is None)
        return next((one for one in running if one.verb == "restart"), None)

    def _forget_old(self) -> None:
        now, spare = self._clock(), len(self._actions) - MAX_ACTIONS
        for action_id, action in list(self._actions.items()):
            if action.forget_at is not None and (action.forget_at <= now or spare > 0):
                del self._actions[action_id]
                spare -= 1


def pick_instance(registry: Registry, record: AgentRecord, instance_id: str) -> Instance:
    """Give an agent's instance; raises Problem 404 `unknown-instance`, 409 `stale-instance` for an older life."""
    instance = record.instances.get(instance_id)
    if instance is not None:
        return instance
    if registry.is_stale(instance_id):
        raise Problem("stale-instance", f"{instance_id} of {record.id} was replaced by a newer life")
    raise Problem("unknown-instance", f"{record.id} has no instance {instance_id[:128]!r}")


def _refuse_unsupported(agent_id: str, request: AgentActionRequest) -> None:
    if request.action == "start":
        raise Problem(
            "not-supported",
            f"start {agent_id} where it runs: agentctl up {agent_id}, or docker compose start {agent_id}",
        )
    if request.strategy is UNSET:
        return
    if request.action != "restart":
        raise Problem("bad-request", f"a {request.action} has no strategy", field="strategy")
    raise Problem("not-supported", f"there is no rollout here: leave the strategy out to restart {agent_id} in place")


def _drains(step: Step, taken: Told) -> None:
    """Note that a restart drains the instance, unless something else does: then it does not come back."""
    step.state = "draining"
    drain = taken.status.drain
    if drain is not None and drain.reason != "restart":
        step.fail(error("stopping", f"it leaves for good: a {drain.reason} drains it"))


def _touches(action: Action, targets: list[Instance]) -> bool:
    """Tell whether an order to these instances concerns one that the action has not done with."""
    open_ids = {step.instance_id for step in action.steps if not step.over}
    return not targets or any(instance.instance_id in open_ids for instance in targets)


def _leave_alone(action: Action, why: Error) -> None:
    for step in action.steps:
        if not step.over:
            step.fail(why)
