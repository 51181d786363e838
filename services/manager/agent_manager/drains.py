"""The drains of an agent's instances: shown, moved, called off."""

from typing import Any, Final

import msgspec
from agent_contract.problems import STATUS_OF, Problem
from agent_contract.wire import Drain, Status
from msgspec import UNSET, Struct, UnsetType

from agent_manager.actions import Actions
from agent_manager.fleet_queries import FleetQueries
from agent_manager.holding import Absences
from agent_manager.journal import Journal
from agent_manager.live import Live, Said
from agent_manager.registry import Registry

_NOT_DRAINING: Final = "not-draining"


class SteeredDrain(Struct, rename="camel", frozen=True):
    """One instance's drain after it was steered, or why it could not be."""

    instance_id: str
    drain: Drain | None
    error: dict[str, Any] | UnsetType = UNSET


class Drains:
    """Steers the drain of one instance, or of all that have one."""

    def __init__(
        self,
        registry: Registry,
        queries: FleetQueries,
        live: Live,
        actions: Actions,
        absences: Absences,
        journal: Journal,
    ) -> None:
        self._registry = registry
        self._queries = queries
        self._live = live
        self._actions = actions
        self._absences = absences
        self._journal = journal

    async def reschedule(
        self, agent_id: str, instance_id: str | None, timeout_seconds: float, by: str | None
    ) -> list[SteeredDrain]:
        """Let the deadline lie this many seconds from now; raises Problem 404, 409 `not-draining`, `over-grace`."""
        body = msgspec.json.encode({"timeoutSeconds": timeout_seconds})
        answers = await self._steer(agent_id, instance_id, "PATCH", body)
        for said in answers:
            if said.ok:
                message = f"its drain ends in {timeout_seconds:g} s at the latest"
                self._journal.record(
                    "drain", agent_id, "drain-moved", message, instance_id=said.instance.instance_id, by=by
                )
        return [_steered(said) for said in answers]

    async def call_off(self, agent_id: str, instance_id: str | None, by: str | None) -> list[SteeredDrain]:
        """Let instances go on as before; raises Problem 404, 409 `not-draining`, `signalled`.

        A stop of the whole agent that is called off is no longer what was ordered.
        """
        answers = await self._steer(agent_id, instance_id, "DELETE", b"")
        for said in answers:
            if said.ok:
                await self._goes_on(agent_id, said, by)
        record = self._registry.find(agent_id)
        if instance_id is None and record is not None and record.desired_state == "stopped":
            self._registry.set_desired_state(agent_id, "paused" if record.state == "paused" else "running", by=by)
        return [_steered(said) for said in answers]

    async def _steer(self, agent_id: str, instance_id: str | None, method: str, body: bytes) -> list[Said]:
        instances = self._queries.instances(agent_id, instance_id)
        answers = await self._live.ask_all(instances, method, "/drain", body)
        steered = [said for said in answers if said.ok or _code(said) != _NOT_DRAINING]
        if any(said.ok for said in answers):
            return steered
        if not steered:
            raise Problem(_NOT_DRAINING, f"no instance of {agent_id} drains")
        raise _problem(steered[0])

    async def _goes_on(self, agent_id: str, said: Said, by: str | None) -> None:
        instance = said.instance
        self._absences.call_off(instance.instance_id)
        self._actions.called_off(agent_id, instance.instance_id)
        self._journal.record(
            "drain", agent_id, "drain-called-off", "its drain was called off", instance_id=instance.instance_id, by=by
        )
        now = await self._live.ask(instance, "GET", "/status")
        status = now.read(Status)
        if isinstance(status, Status) and status.instance_id == instance.instance_id:
            self._registry.observe(instance, status, now.asked_at)


def _steered(said: Said) -> SteeredDrain:
    drain = said.read(Drain)
    return SteeredDrain(said.instance.instance_id, drain if isinstance(drain, Drain) else None, said.error or UNSET)


def _code(said: Said) -> str:
    return str((said.error or {}).get("code", ""))


def _problem(said: Said) -> Problem:
    """Give an instance's own problem as this manager's answer, with what else the instance said."""
    members = dict(said.error or {})
    code, detail = str(members.pop("code", "unavailable")), str(members.pop("detail", "it did not answer"))
    status = members.pop("status", None)
    known = STATUS_OF.get(code, status if isinstance(status, int) else 502)
    return Problem(code, detail, status=known, instanceId=said.instance.instance_id, **members)
