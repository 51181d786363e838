"""The log lines of an agent's instances: the last ones in the order of time, and each new one as it comes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from agent_contract.problems import Problem
from agent_contract.sse import EventParser, EventTooLarge, encode_event
from msgspec import UNSET, Struct, UnsetType

from agent_manager.agent_client import AgentClient, CallError
from agent_manager.fleet_queries import FleetQueries
from agent_manager.live import Live
from agent_manager.records import Instance
from agent_manager.registry import Registry

_ANSWER_SECONDS: Final = 5.0
"""Reading back 5,000 lines takes an instance some milliseconds; it may be busy."""
_WAITING_LINES: Final = 1000
"""Lines that may wait for a follower; then the instances wait."""
_LOOK_SECONDS: Final = 1.0
"""How soon a broken stream of an instance that is still there is followed again, and a newcomer's at the latest."""


class Line(Struct, rename="camel", frozen=True):
    """One line of one instance; `error` in the place of an instance's lines where it has none to give."""

    instance_id: str
    line: str
    error: dict[str, Any] | UnsetType = UNSET


class Lines(Struct, frozen=True):
    """The last lines of an agent's instances."""

    lines: list[Line]


class _Tail(Struct):
    lines: list[str]


class _Timed(Struct):
    timestamp: str = ""


class Logs:
    """Reads the logs of instances through their `/logs`."""

    def __init__(self, registry: Registry, queries: FleetQueries, live: Live, client: AgentClient) -> None:
        self._registry = registry
        self._queries = queries
        self._live = live
        self._client = client

    async def tail(self, agent_id: str, instance_id: str | None, lines: int) -> Lines:
        """Give the last `lines` lines of each instance, merged by their timestamps.

        Raises:
            Problem: 404 `unknown-agent`, `unknown-instance`; 503 `logs-unavailable` when no instance has any.

        """
        instances = self._queries.instances(agent_id, instance_id)
        answers = await self._live.ask_all(instances, "GET", f"/logs?lines={lines}", timeout_seconds=_ANSWER_SECONDS)
        merged: list[tuple[str, Line]] = []
        for said in answers:
            found = said.read(_Tail)
            timestamp = ""
            for text in found.lines if isinstance(found, _Tail) else ():
                timestamp = _timestamp(text) or timestamp  # a line without a time belongs to the one before it
                merged.append((timestamp, Line(said.instance.instance_id, text)))
        failed = [said for said in answers if said.error is not None]
        if not merged and failed:
            raise Problem("logs-unavailable", f"{agent_id}: {(failed[0].error or {}).get('detail')}")
        merged.sort(key=lambda one: one[0])
        silent = [Line(said.instance.instance_id, "", said.error or UNSET) for said in failed]
        return Lines([*silent, *(line for _, line in merged)])

    async def follow(self, agent_id: str, instance_id: str | None, lines: int) -> AsyncIterator[bytes]:
        """Give an event `line` for the last lines of each instance and each new one, also of instances to come."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(_WAITING_LINES)
        following = asyncio.create_task(self._follow_all(agent_id, instance_id, lines, queue))
        try:
            while not following.done():
                line = asyncio.ensure_future(queue.get())
                await asyncio.wait((line, following), return_when=asyncio.FIRST_COMPLETED)
                if line.done():
                    yield line.result()
            following.result()
        finally:
            following.cancel()
            await asyncio.wait((following,))

    async def _follow_all(
        self, agent_id: str, instance_id: str | None, lines: int, queue: asyncio.Queue[bytes]
    ) -> None:
        """Keep a reader on each instance, for ever; one whose stream ended begins again with what is new."""
        readers: dict[str, asyncio.Task[None]] = {}
        wanted = lines
        async with asyncio.TaskGroup() as group:
            while True:
                record = self._registry.find(agent_id)
                for instance in list(record.instances.values()) if record is not None else []:
                    known = readers.get(instance.instance_id)
                    if instance_id in (None, instance.instance_id) and (known is None or known.done()):
                        reading = self._read(instance, wanted if known is None else 1, queue)
                        readers[instance.instance_id] = group.create_task(reading)
                await self._registry.changed(agent_id, _LOOK_SECONDS)

    async def _read(self, instance: Instance, lines: int, queue: asyncio.Queue[bytes]) -> None:
        """Pass on the lines of one instance until its stream ends."""
        target, parser = f"/logs?lines={lines}&follow=true", EventParser()
        headers = [*self._live.headers(), (b"accept", b"text/event-stream")]
        try:
            response = await self._client.call(instance.origin, "GET", target, headers).response()
            if response.stream is None:
                return
            async for piece in response.chunks():
                for event in parser.feed(piece):
                    await queue.put(_line_event(instance.instance_id, event.data))
        except (CallError, EventTooLarge):
            return


def _line_event(instance_id: str, data: str) -> bytes:
    try:
        line = msgspec.json.decode(data, type=str)
    except msgspec.MsgspecError:
        line = data
    return encode_event("line", msgspec.json.encode(Line(instance_id, line)))


def _timestamp(line: str) -> str:
    try:
        return msgspec.json.decode(line, type=_Timed).timestamp if line.startswith("{") else ""
    except msgspec.MsgspecError:
        return ""
