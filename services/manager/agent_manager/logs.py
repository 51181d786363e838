"""The log lines of an agent's instances: the last ones in the order of time, and each new one as it comes."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Final

from agent_contract.problems import Problem
from msgspec import UNSET, Struct

from agent_manager.fleet_queries import FleetQueries
from agent_manager.log_lines import OVERLAP_LINES, Follower, Line, merged
from agent_manager.log_sources import Found, LogSources, Place
from agent_manager.registry import Registry

_WAITING_LINES: Final = 1000
"""Lines that may wait for a follower; then the instances wait."""
_LOOK_SECONDS: Final = 1.0
"""How soon a broken stream of an instance that is still there is followed again, and a newcomer's at the latest."""
_AT_ONCE: Final = 64
"""Logs read at the same time: each answer is up to 8 MiB."""


class Lines(Struct, frozen=True):
    """The last lines of an agent's instances."""

    lines: list[Line]


class Logs:
    """Reads the logs of an agent's instances, and of pods in which nobody answers: theirs say why."""

    def __init__(self, registry: Registry, queries: FleetQueries, sources: LogSources) -> None:
        self._registry = registry
        self._queries = queries
        self._sources = sources
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def tail(self, agent_id: str, instance_id: str | None, lines: int) -> Lines:
        """Give the last `lines` lines of each instance, merged by their times.

        Raises:
            Problem: 404 `unknown-agent`, `unknown-instance`; 503 `logs-unavailable` when no instance has any.

        """
        found = await self._tails(self.places(agent_id, instance_id), lines)
        silent = [Line(one.place.name, "", one.error or UNSET) for one in found if one.error is not None]
        told = merged((one.place.name, one.texts) for one in found)
        if silent and not told:
            error = next(one.error for one in found if one.error is not None)
            raise Problem("logs-unavailable", f"{agent_id}: {error.get('detail')}")
        return Lines([*silent, *told])

    async def follow(self, agent_id: str, instance_id: str | None, lines: int) -> AsyncGenerator[bytes, None]:
        """Give an event `line` for the last lines of each instance and each new one, also of instances to come.

        The last lines come in the order of time, as `tail` gives them; later ones as they arrive.
        """
        followers: dict[str, Follower] = {}
        found = await self._tails(self.places(agent_id, instance_id), lines)
        for one in found:
            follower = followers[one.place.name] = Follower()
            for text in one.texts:
                follower.take(text)
            if one.error is not None:
                yield Line(one.place.name, "", one.error).event()
        for line in merged((one.place.name, one.texts) for one in found):
            yield line.event()
        async with contextlib.aclosing(self._go_on(agent_id, instance_id, lines, followers)) as events:
            async for event in events:
                yield event

    def places(self, agent_id: str, instance_id: str | None) -> list[Place]:
        """Give where the logs are: the agent's processes and pods without one, or the process or pod that is named.

        Raises:
            Problem: 404 `unknown-agent`, `unknown-instance`, 409 `stale-instance`.

        """
        record = self._registry.find(agent_id)
        if record is not None and instance_id in record.pods:
            return [Place(instance_id, None, record.pods[instance_id])]
        places = [Place(one.instance_id, one, one.pod) for one in self._queries.instances(agent_id, instance_id)]
        if record is not None and instance_id is None:
            places += [Place(uid, None, pod) for uid, pod in record.bare_pods.items()]
        return places

    async def _tails(self, places: list[Place], lines: int) -> list[Found]:
        async def one(place: Place) -> Found:
            async with self._slots:
                return await self._sources.tail(place, lines)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(place)) for place in places]
        return [task.result() for task in tasks]

    async def _go_on(
        self, agent_id: str, instance_id: str | None, lines: int, followers: dict[str, Follower]
    ) -> AsyncGenerator[bytes, None]:
        queue: asyncio.Queue[bytes] = asyncio.Queue(_WAITING_LINES)
        following = asyncio.create_task(self._follow_all(agent_id, instance_id, lines, followers, queue))
        try:
            while not following.done():
                event = asyncio.ensure_future(queue.get())
                await asyncio.wait((event, following), return_when=asyncio.FIRST_COMPLETED)
                if event.done():
                    yield event.result()
            following.result()
        finally:
            following.cancel()
            await asyncio.wait((following,))

    async def _follow_all(
        self,
        agent_id: str,
        instance_id: str | None,
        lines: int,
        followers: dict[str, Follower],
        queue: asyncio.Queue[bytes],
    ) -> None:
        """Keep a reader on each log, for ever; one whose stream ended begins again where it was."""
        readers: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                with contextlib.suppress(Problem):  # it has gone: perhaps for good, perhaps until its successor comes
                    for place in self.places(agent_id, instance_id):
                        known = readers.get(place.name)
                        if known is None or known.done():
                            follower = followers.setdefault(place.name, Follower())
                            readers[place.name] = group.create_task(self._read(place, follower, lines, queue))
                await self._registry.changed(agent_id, _LOOK_SECONDS)

    async def _read(self, place: Place, follower: Follower, lines: int, queue: asyncio.Queue[bytes]) -> None:
        """Pass on the lines of one log until its stream ends."""
        follower.begin()
        async with contextlib.aclosing(
            self._sources.follow(place, OVERLAP_LINES if follower.has_begun else lines)
        ) as texts:
            async for text in texts:
                for line in follower.take(text):
                    await queue.put(Line(place.name, line).event())
