"""What instances say of themselves at this moment, asked of all of an agent's at once."""

from typing import Any

import msgspec
from agent_contract.problems import Problem
from agent_contract.wire import Drain, Info, Status
from msgspec import Struct

from agent_manager.actions.plan import pick_instance
from agent_manager.live import Live, Said
from agent_manager.records import Instance
from agent_manager.registry import Registry

_Members = dict[str, Any]


class Answers(Struct, frozen=True):
    """What each instance said, its id in it; `error` in the place of it for one that said nothing."""

    instances: list[_Members]


class FleetQueries:
    """Asks for `/status`, `/info` and `/drain`."""

    def __init__(self, registry: Registry, live: Live) -> None:
        self._registry = registry
        self._live = live

    def instances(self, agent_id: str, instance_id: str | None = None) -> list[Instance]:
        """Give an agent's instances, or the one that is named.

        Raises:
            Problem: 404 `unknown-agent`, `unknown-instance`, 409 `stale-instance`.

        """
        record = self._registry.find(agent_id)
        if record is None:
            raise Problem("unknown-agent", f"there is no agent {agent_id!r}")
        if instance_id is None:
            return list(record.instances.values())
        return [pick_instance(self._registry, record, instance_id)]

    async def status(self, agent_id: str) -> Answers:
        """Give `/status` of every instance; raises Problem 404."""
        return await self._ask(agent_id, None, "/status", Status)

    async def info(self, agent_id: str) -> Answers:
        """Give `/info` of every instance; raises Problem 404."""
        return await self._ask(agent_id, None, "/info", Info)

    async def drain(self, agent_id: str, instance_id: str | None) -> Answers:
        """Give `/drain` of every instance, or of one; raises Problem 404."""
        return await self._ask(agent_id, instance_id, "/drain", Drain)

    async def _ask(self, agent_id: str, instance_id: str | None, target: str, kind: type[Struct]) -> Answers:
        answers = await self._live.ask_all(self.instances(agent_id, instance_id), "GET", target)
        return Answers([_members(said, kind) for said in answers])


def _members(said: Said, kind: type[Struct]) -> _Members:
    """Give what an instance said, with what this version does not know of; the id is the one that was asked."""
    own = {"instanceId": said.instance.instance_id}
    if said.error is not None:
        return {**own, "error": said.error}
    if not isinstance(said.read(kind), kind):
        return {**own, "error": {"code": "unavailable", "detail": "its answer could not be read"}}
    return {**msgspec.json.decode(said.response.body if said.response else b"{}", type=_Members), **own}
