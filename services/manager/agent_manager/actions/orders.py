"""Telling one instance to pause, resume, stop or restart, and waiting for what that leads to."""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
import structlog
from agent_contract.wire import Status
from msgspec import Struct

from agent_manager.actions.action import Action, Step, error
from agent_manager.departures import Departure
from agent_manager.holding import Absences
from agent_manager.live import Live
from agent_manager.records import Instance
from agent_manager.registry import Registry

BACK_SECONDS: Final = 60.0
"""How long after its drain an instance may take to be back, by the contract."""
_TELL_SECONDS: Final = 5.0
"""How long an instance may take to answer an order: it answers before it does anything."""
_LOOK_SECONDS: Final = 1.0
"""How often a wait looks by itself whether the action was ended by another order."""

log = structlog.stdlib.get_logger(__name__)


class Told(Struct, frozen=True):
    """An instance that took an order: what it answered, and whether it was paused before."""

    instance: Instance
    status: Status
    paused: bool


class Orders:
    """Gives orders to instances one at a time; the registry knows at once what they answered."""

    def __init__(
        self, registry: Registry, live: Live, absences: Absences, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._live = live
        self._absences = absences
        self._clock = clock
        self._watched: dict[str, Departure | None] = {}
        registry.departed.append(self._departed)

    async def tell(self, action: Action, step: Step) -> Told | None:
        """Give the order, and what the instance answered; None, and the step failed, when it did not take it."""
        instance = self._registry.instances.get(step.instance_id)
        if instance is None:
            step.fail(error("unknown-instance", "it left before it was told"))
            return None
        paused = instance.state == "paused"
        self._watched[step.instance_id] = None  # from now on: an idle instance is gone before its answer is read
        if action.verb in ("stop", "pause"):
            self._absences.order(step.instance_id)
        said = await self._live.ask(instance, "POST", "/action", _body(action), timeout_seconds=_TELL_SECONDS)
        status = said.read(Status)
        if isinstance(status, Status):
            self._registry.observe(instance, status, said.asked_at)
            return Told(instance, status, paused)
        self._absences.call_off(step.instance_id)
        step.fail(said.error or error("unavailable", "its answer could not be read"))
        return None

    async def until_gone(self, action: Action, step: Step, told: Told) -> None:
        """Wait until an instance that was told to stop has left; the step says how."""
        instance = told.instance
        while not step.over:
            if self._registry.instances.get(step.instance_id) is not instance:
                self._left(step)
            elif await self._goes_on(instance):
                step.fail(error("not-draining", "its drain was called off"))
            else:
                await self._registry.changed(action.agent_id, _LOOK_SECONDS)

    async def until_back(self, action: Action, step: Step, told: Told) -> None:
        """Wait until another life of an instance runs at its address, or is paused where the old one was."""
        instance, gone_at = told.instance, None
        while not step.over:
            now, there = self._clock(), self._registry.instances.get(step.instance_id) is instance
            successor = self._registry.occupant(instance.origin)
            if successor is not None and successor is not instance and self._is_back(successor, paused=told.paused):
                step.state, step.successor = "done", successor.instance_id
            elif there and await self._goes_on(instance):
                step.fail(error("not-draining", "its drain was called off"))
            elif gone_at is not None and now >= gone_at + BACK_SECONDS:
                step.fail(error("unavailable", f"it was not back {BACK_SECONDS:g} s after its drain"))
            else:
                gone_at = gone_at or (None if there and not self._drain_is_over(instance, now) else now)
                await self._registry.changed(action.agent_id, _LOOK_SECONDS)

    def watch(self, instance_id: str) -> None:
        """Look from now on how an instance leaves that the platform ends."""
        self._watched[instance_id] = None

    def departure(self, instance_id: str) -> Departure | None:
        """Give how an instance left that was told or watched; None while it has not, or where nobody looked."""
        return self._watched.get(instance_id)

    async def hurry(self, instance: Instance, timeout_seconds: float) -> bool:
        """Let a drain that the platform ordered end within that time; False: it does not drain yet.

        What its grace does not allow is told in the log, and the drain stays as it is.
        """
        body = msgspec.json.encode({"timeoutSeconds": timeout_seconds})
        said = await self._live.ask(instance, "PATCH", "/drain", body)
        code = (said.error or {}).get("code")
        if code is not None and code != "not-draining":
            log.warning("cannot set the time of a drain", instance_id=instance.instance_id, **(said.error or {}))
        return code != "not-draining"

    def forget(self, steps: Iterable[Step]) -> None:
        """Look no more how these instances leave."""
        for step in steps:
            self._watched.pop(step.instance_id, None)

    def _left(self, step: Step) -> None:
        departure = self._watched.get(step.instance_id)
        if departure is None or departure.reason in ("unregistered", "replaced", "withdrawn"):
            step.state = "done"
        else:
            step.fail(error("unavailable", "it was lost: its last word did not come"))

    async def _goes_on(self, instance: Instance) -> bool:
        """Tell whether an instance that was draining serves again; a late beat may say so, so it is asked itself."""
        if instance.state == "stopping":
            return False
        said = await self._live.ask(instance, "GET", "/status")
        status = said.read(Status)
        if not isinstance(status, Status) or status.instance_id != instance.instance_id:
            return False
        self._registry.observe(instance, status, said.asked_at)
        return status.status in ("running", "paused")

    def _is_back(self, successor: Instance, *, paused: bool) -> bool:
        record = self._registry.find(successor.agent_id)
        may_pause = paused or (record is not None and record.desired_state == "paused")
        state = successor.state
        return successor.reachable and (state == "running" or (state == "paused" and may_pause))

    def _drain_is_over(self, instance: Instance, now: float) -> bool:
        kept_until = instance.kept_until
        return kept_until is not None and now >= kept_until - self._registry.timing.ttl_seconds

    def _departed(self, departure: Departure) -> None:
        if departure.instance.instance_id in self._watched:
            self._watched[departure.instance.instance_id] = departure


def _body(action: Action) -> bytes:
    members: dict[str, Any] = {"action": action.verb}
    if action.timeout_seconds is not None:
        members["timeoutSeconds"] = action.timeout_seconds
    return msgspec.json.encode(members)
