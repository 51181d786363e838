"""Following what Kubernetes does by an order, to its end: the watch shows it, and nobody waits for ever."""

import time
from collections.abc import Callable, Hashable
from typing import Final, Protocol

from msgspec import Struct

from agent_manager.actions.action import Action, error
from agent_manager.actions.orders import Orders
from agent_manager.platform import Workload
from agent_manager.records import AgentRecord
from agent_manager.registry import Registry

_LOOK_SECONDS: Final = 1.0
"""How often a wait looks by itself: at its own deadline, and whether the action was ended by another order."""


class Wanted(Struct, frozen=True):
    """A workload as an order left it."""

    workload: Workload
    generation: int
    replicas: int
    progress_seconds: float
    """How long it may make no progress."""

    def seen(self, record: AgentRecord) -> Workload | None:
        """Give the workload as it is now; None where the watch has not shown yet what was ordered, or it is gone."""
        now = record.workloads.get(self.workload.uid)
        return now if now is not None and now.generation >= self.generation else None

    def is_gone(self, record: AgentRecord) -> bool:
        """Tell whether somebody deleted it."""
        return self.workload.uid not in record.workloads


class Watched(Protocol):
    """What an action waits for."""

    def look(self, record: AgentRecord) -> bool:
        """Bring the action's steps up to date; tells whether it is over, well or not."""

    def progress(self, record: AgentRecord) -> Hashable:
        """Give what is another as long as it gets on."""

    def missing(self) -> str:
        """Say what did not come to pass."""


class Follower:
    """Looks after each change of an agent, until what is waited for is there or does not get on."""

    def __init__(self, registry: Registry, orders: Orders, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._orders = orders
        self._clock = clock

    async def follow(self, action: Action, watched: Watched, patience_seconds: float) -> None:
        """Return when the action is over; it fails after so long without progress while no instance drains."""
        moved_at, before = self._clock(), None
        hurried: set[str] = set()
        while action.ended_at is None:
            record = self._registry.find(action.agent_id) or AgentRecord(id=action.agent_id)
            if watched.look(record):
                return
            now, progress = self._clock(), watched.progress(record)
            if progress != before:
                moved_at, before = now, progress
            if now >= moved_at + patience_seconds and not _drains(record, now):
                action.give_up(error("unavailable", _why(record, watched.missing(), patience_seconds)))
                return
            await self._hurry(action, record, hurried)
            await self._registry.changed(action.agent_id, _LOOK_SECONDS)

    async def _hurry(self, action: Action, record: AgentRecord, hurried: set[str]) -> None:
        """Give drains the time that was ordered: a signal brings none, and an adapter takes it once it drains."""
        if action.timeout_seconds is None:
            return
        for step in action.steps:
            instance = record.instances.get(step.instance_id)
            drains = instance is not None and instance.drain is not None and instance.drain.reason is not None
            if instance is None or not drains or step.instance_id in hurried:
                continue
            if await self._orders.hurry(instance, action.timeout_seconds):
                hurried.add(step.instance_id)


def _drains(record: AgentRecord, now: float) -> bool:
    return any(one.kept_until is not None and one.kept_until > now for one in record.instances.values())


def _why(record: AgentRecord, missing: str, seconds: float) -> str:
    said = "" if record.problem is None else f" ({record.problem.code}: {record.problem.detail})"
    return f"{missing} within {seconds:g} s{said}"
