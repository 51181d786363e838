"""The configuration's deterministic ports: an agent that has not registered is looked for where it should be.

Where registration works this finds nothing that is not known; it is for agents that register elsewhere or not at all,
and for the first seconds of a manager that was restarted.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import structlog
from agent_contract.config import DEFAULT_HOST, Agent
from agent_contract.loading import ConfigurationError
from agent_contract.wire import Info, Status
from msgspec import Struct, UnsetType

from agent_manager.agent_client import Origin
from agent_manager.background import Background
from agent_manager.discovery.events import Emit, Gone, Listed, Seen
from agent_manager.queries import InstanceQueries, QueryFailed
from agent_manager.records import AgentRecord, Source

AT_ONCE: Final = 16
"""Addresses asked at a time: a file of a thousand agents, none of which runs, is no burst."""
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # bound to all, asked at one of them

log = structlog.stdlib.get_logger(__name__)


class Place(Struct, frozen=True):
    """Where an agent should be by the configuration."""

    agent_id: str
    origin: Origin


class StaticDiscovery:
    """Asks at the configured ports of agents that nobody else knows, once a heartbeat interval."""

    name: Source = "static"

    def __init__(
        self,
        agents: Iterable[Agent],
        find: Callable[[str], AgentRecord | None],
        queries: InstanceQueries,
        background: Background,
        *,
        interval_seconds: float,
    ) -> None:
        self._places = tuple(places(agents))
        self._find = find
        self._queries = queries
        self._background = background
        self._interval_seconds = interval_seconds
        self._strangers: set[tuple[str, str]] = set()

    async def run(self, emit: Emit) -> None:
        """Look, for ever."""
        while True:
            await self._background.step("static-discovery", partial(self.look, emit))
            await asyncio.sleep(self._interval_seconds)

    async def look(self, emit: Emit) -> None:
        """Look once at every port whose agent nobody else knows, and tell what is there."""
        limit = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for place in self._places:
                if self._is_wanted(place.agent_id):
                    group.create_task(self._look_at(place, limit, emit))
        emit(Listed(source=self.name, instance_ids=frozenset(self._kept())))

    async def _look_at(self, place: Place, limit: asyncio.Semaphore, emit: Emit) -> None:
        try:
            async with limit:
                info = await self._queries.info(place.agent_id, place.origin)
                status = await self._queries.status(place.agent_id, place.origin)
        except QueryFailed as error:
            if error.refused:
                emit(Gone(source=self.name, agent_id=place.agent_id))
            return
        if info.id != place.agent_id:
            self._warn_of_stranger(place, info)
            emit(Gone(source=self.name, agent_id=place.agent_id))
        elif self._is_wanted(place.agent_id) and self._is_usable(info, status):
            emit(Seen(source=self.name, service_url=str(place.origin), info=info, status=status))

    def _is_wanted(self, agent_id: str) -> bool:
        """Tell whether no instance of the agent is known from a source that knows better."""
        record = self._find(agent_id)
        return record is None or all(instance.sources <= {self.name} for instance in record.instances.values())

    def _is_usable(self, info: Info, status: Status) -> bool:
        """Tell whether one process gave both answers; one that is leaving is no find, it has just unregistered."""
        record = self._find(info.id)
        known = record is not None and info.instance_id in record.instances
        return info.instance_id == status.instance_id and (known or status.status not in ("stopping", "stopped"))

    def _kept(self) -> Iterable[str]:
        """Give the ids that this source goes on vouching for: also those that did not answer, for they may be slow."""
        for place in self._places:
            record = self._find(place.agent_id)
            if record is not None and self._is_wanted(place.agent_id):
                yield from record.instances

    def _warn_of_stranger(self, place: Place, info: Info) -> None:
        if (place.agent_id, info.id) not in self._strangers:
            self._strangers.add((place.agent_id, info.id))
            log.warning(
                "another agent at a configured port", agent=place.agent_id, url=str(place.origin), found=info.id
            )


def places(agents: Iterable[Agent]) -> Iterable[Place]:
    """Give where the configured agents should be; raises ConfigurationError for a host that is none."""
    for index, agent in enumerate(agents):
        if isinstance(agent.port, UnsetType):
            continue
        host = DEFAULT_HOST if isinstance(agent.host, UnsetType) else agent.host
        host = _WILDCARDS.get(host, f"[{host}]" if ":" in host and not host.startswith("[") else host)
        try:
            yield Place(agent.id, Origin.parse(f"http://{host}:{agent.port}"))
        except ValueError as error:
            raise ConfigurationError(f"agents[{index}].host", str(error)) from error
