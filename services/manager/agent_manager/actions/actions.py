"""The actions of this manager: ordered, followed to their end, kept for an hour."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from typing import Any, Final, Literal
from weakref import WeakValueDictionary

from agent_contract.counting import counted
from agent_contract.identity import new_id
from agent_contract.problems import Problem
from agent_contract.wire import AgentActionRequest
from msgspec import UNSET, UnsetType

from agent_manager.actions.action import Action, Ordered, OrderedInstance, Step, Verb, error
from agent_manager.actions.here import NOT_THE_LEADER
from agent_manager.actions.plan import Course, Plan, Platform
from agent_manager.journal import Journal
from agent_manager.leadership import Leadership, no_leader
from agent_manager.records import AgentRecord
from agent_manager.registry import Registry

Outcome = Literal["succeeded", "failed"]

KEPT_SECONDS: Final = 3600.0
MAX_ACTIONS: Final = 10_000
ANYWHERE: Final[frozenset[Verb]] = frozenset(("pause", "resume"))
"""What any manager may do: done twice it is the same as done once."""
_ENDS: Final[dict[Verb, dict[Verb, str]]] = {
    "stop": {"restart": "stopping", "start": "stopping"},
    "pause": {"restart": "paused"},
    "start": {"stop": "unavailable"},
    "restart": {"restart": "stopping"},
}
"""What an order ends that is under way, and what its instances are left with. A restart that it does not join, too."""
_JOINED: Final[frozenset[Verb]] = frozenset(("restart", "start"))


class Actions:
    """Takes orders. `spawn` starts what follows in the process's task group."""

    def __init__(
        self,
        registry: Registry,
        journal: Journal,
        *,
        platform_of: Callable[[AgentRecord], Platform],
        leadership: Leadership,
        clock: Callable[[], float],
        wall: Callable[[], datetime],
        spawn: Callable[[Coroutine[Any, Any, None]], Any],
        on_end: Iterable[Callable[[Action], None]],
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._platform_of = platform_of
        self._leadership = leadership
        self._clock = clock
        self._wall = wall
        self._spawn = spawn
        self._on_end = tuple(on_end)
        self._actions: dict[str, Action] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        leadership.lost.append(self._lease_lost)

    async def order(self, agent_id: str, request: AgentActionRequest, by: str | None) -> Ordered:
        """Give the order, and what the instances answered that are told at once.

        Orders to one agent begin in the order in which they came: what is written to its workloads, too.

        Raises:
            Problem: 404 `unknown-agent`, what `Platform.plan` raises, 400 `bad-request`, 503 `no-leader`.

        """
        self._check(agent_id, request)
        turn = self._turns.setdefault(agent_id, asyncio.Lock())
        async with turn:
            action = self._joined(agent_id, request)
            if action is not None:
                return self._ordered(action)
            record = self._known(agent_id)
            plan = await self._platform_of(record).plan(record, request)
            self._known(agent_id)  # writing to a cluster takes a while
            self._end_others(agent_id, request)
            action = self._begin(agent_id, request, plan, by)
        told = asyncio.Event()
        self._spawn(self._run(action, plan.course, told))
        await told.wait()
        return self._ordered(action)

    def peek(self, agent_id: str, action_id: str) -> Action | None:
        """Give an action of this manager; None where it is none."""
        self._forget_old()
        action = self._actions.get(action_id)
        return action if action is not None and action.agent_id == agent_id else None

    def find(self, agent_id: str, action_id: str) -> Action:
        """Give an action; raises Problem 404 `unknown-agent` or `unknown-action`."""
        self._known(agent_id)
        action = self.peek(agent_id, action_id)
        if action is None:
            raise Problem("unknown-action", f"no action {action_id[:64]!r} of {agent_id} within the last hour")
        return action

    def kept(self, agent_id: str) -> list[Action]:
        """Give the actions of an agent that this manager carried out, the last one first."""
        self._forget_old()
        return [action for action in reversed(self._actions.values()) if action.agent_id == agent_id]

    def list_actions(self, agent_id: str) -> list[Action]:
        """Give the same; raises Problem 404 `unknown-agent`."""
        self._known(agent_id)
        return self.kept(agent_id)

    def called_off(self, agent_id: str, instance_id: str) -> None:
        """End the restart that drains this instance: its drain was called off."""
        for action in self._under_way(agent_id, "restart"):
            if any(step.instance_id == instance_id and not step.over for step in action.steps):
                self._cut_short(action, "not-draining", "its drain was called off")

    # --- beginning ---

    def _check(self, agent_id: str, request: AgentActionRequest) -> None:
        self._known(agent_id)
        if request.strategy is not UNSET and request.action != "restart":
            raise Problem("bad-request", f"a {request.action} has no strategy", field="strategy")
        if request.action not in ANYWHERE and not self._leadership.is_leader:
            raise no_leader(self._leadership)

    def _begin(self, agent_id: str, request: AgentActionRequest, plan: Plan, by: str | None) -> Action:
        if plan.desired_state is not None:
            self._registry.set_desired_state(agent_id, plan.desired_state, by=by)
        action = Action(
            action_id=new_id(),
            agent_id=agent_id,
            verb=request.action,
            by=by,
            started_at=self._wall(),
            steps=[Step(instance_id) for instance_id in plan.instance_ids],
            subject=plan.subject,
            instance_id=_given(request.instance_id),
            strategy=_given(request.strategy),
            timeout_seconds=_given(request.timeout_seconds),
        )
        self._actions[action.action_id] = action
        count = f" of {counted(len(action.steps), 'instance')}" if action.verb != "start" else ""
        self._tell_journal(action, "ordered", f"{_title(action)}{count} ordered")
        return action

    def _joined(self, agent_id: str, request: AgentActionRequest) -> Action | None:
        """Give the action under way that does what is ordered, with what it does not cover yet taken in.

        A rollout takes in a restart in place, for it replaces every process; the other way round it does not.
        """
        if request.action not in _JOINED:
            return None
        for action in self._under_way(agent_id, request.action):
            if action.strategy is None and request.strategy is not UNSET:
                continue
            if action.verb == "restart" and action.strategy is None:
                self._take_in(action, _given(request.instance_id))
            if request.timeout_seconds is not UNSET:
                action.timeout_seconds = _given(request.timeout_seconds)
            return action
        return None

    def _take_in(self, action: Action, instance_id: str | None) -> None:
        """Add who is not covered; those that the restart brought back are fresh."""
        covered = {step.instance_id for step in action.steps} | {step.successor for step in action.steps}
        there = self._known(action.agent_id).instances
        action.steps += [Step(one) for one in there if one not in covered and instance_id in (None, one)]

    def _end_others(self, agent_id: str, request: AgentActionRequest) -> None:
        """End what the order makes void: the last word counts."""
        for verb, code in _ENDS.get(request.action, {}).items():
            for action in self._under_way(agent_id, verb):
                open_ids = {step.instance_id for step in action.steps if not step.over}
                if request.instance_id is UNSET or request.instance_id in open_ids:
                    self._cut_short(action, code, f"a {request.action} was ordered")

    def _ordered(self, action: Action) -> Ordered:
        record = self._registry.find(action.agent_id)
        told = []
        for step in action.steps:
            pod = None if record is None else record.bare_pods.get(step.instance_id)
            known = self._registry.instances.get(step.instance_id) or pod
            told.append(OrderedInstance(step.instance_id, "stopped" if known is None else known.state, step.error))
        return Ordered(action.action_id, action.verb, told)

    # --- what follows ---

    async def _run(self, action: Action, course: Course, told: asyncio.Event) -> None:
        over = False
        try:
            await course(action, told)
            over = True
        finally:
            if action.ended_at is None and not (over and all(step.over for step in action.steps)):
                action.give_up(error("internal-error", "the manager could not go on with it; its log says why"))
            self._end(action)
            told.set()

    def _cut_short(self, action: Action, code: str, detail: str) -> None:
        action.give_up(error(code, f"the {action.verb} was ended: {detail}"))
        self._end(action)

    def _lease_lost(self) -> None:
        """End what another manager may do from now on; what was sent to an instance or the cluster goes on there."""
        for action in tuple(self._actions.values()):
            if action.ended_at is None and action.verb not in ANYWHERE:
                action.give_up(NOT_THE_LEADER)
                self._end(action)

    def _end(self, action: Action) -> None:
        if action.ended_at is not None:
            return
        action.ended_at, action.forget_at = self._wall(), self._clock() + KEPT_SECONDS
        failures = [f"; {step.instance_id}: {step.error['detail']}" for step in action.steps if step.error]
        self._tell_journal(action, action.state, f"{_title(action)} {action.state}{''.join(failures)}")
        for told in self._on_end:
            told(action)

    def _tell_journal(self, action: Action, code: str, message: str) -> None:
        level: Literal["info", "warning"] = "warning" if code == "failed" else "info"
        self._journal.record(
            "action",
            action.agent_id,
            f"{action.verb}-{code}",
            message,
            instance_id=action.instance_id,
            by=action.by,
            level=level,
        )

    # --- what is known ---

    def _known(self, agent_id: str) -> AgentRecord:
        record = self._registry.find(agent_id)
        if record is None:
            raise Problem("unknown-agent", f"there is no agent {agent_id!r}")
        return record

    def _under_way(self, agent_id: str, verb: Verb) -> list[Action]:
        actions = self._actions.values()
        return [one for one in actions if one.agent_id == agent_id and one.verb == verb and one.ended_at is None]

    def _forget_old(self) -> None:
        now, spare = self._clock(), len(self._actions) - MAX_ACTIONS
        for action_id, action in list(self._actions.items()):
            if action.forget_at is not None and (action.forget_at <= now or spare > 0):
                del self._actions[action_id]
                spare -= 1


def _title(action: Action) -> str:
    return action.verb if action.strategy is None else f"{action.verb} by {action.strategy}"


def _given(value: Any) -> Any:  # noqa: ANN401  # whatever the member is, or None where it was left out
    return None if isinstance(value, UnsetType) else value
