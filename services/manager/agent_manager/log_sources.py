"""Where the log of an instance is to be had: from its adapter; where that has none or does not answer, from its pod."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any, Final, Protocol

import msgspec
from agent_contract.problems import Problem
from agent_contract.sse import EventParser, EventTooLarge
from msgspec import Struct

from agent_manager.agent_client import AgentClient, CallError, Chunks
from agent_manager.live import Live
from agent_manager.log_lines import Text, Times
from agent_manager.platform import Pod
from agent_manager.records import Instance

_ANSWER_SECONDS: Final = 5.0
"""Reading back 5,000 lines takes an instance some milliseconds; it may be busy."""


class PodLogs(Protocol):
    """Reads logs of pods from the platform."""

    async def tail(self, pod: Pod, lines: int, *, with_last_life: bool) -> list[Text]:
        """Give the last lines of a pod, of the life before the present one too if wanted.

        Raises:
            Problem: 503 `logs-unavailable`.

        """

    def follow(self, pod: Pod, lines: int) -> AsyncGenerator[Text, None]:
        """Give the last lines of a pod, then each new one, until the platform ends it; raises as `tail` does."""


class Place(Struct, frozen=True):
    """A log, by the name of its instance: a process, a pod, or a process in a pod."""

    name: str
    instance: Instance | None = None
    pod: Pod | None = None


class Found(Struct, frozen=True):
    """The end of a log; `error`, the members of a problem, where it cannot be had."""

    place: Place
    texts: list[Text]
    error: dict[str, Any] | None = None


class _Tail(Struct):
    lines: list[str]


class LogSources:
    """Reads logs, one place at a time."""

    def __init__(self, live: Live, client: AgentClient, pod_logs: PodLogs | None = None) -> None:
        self._live = live
        self._client = client
        self._pod_logs = pod_logs

    async def tail(self, place: Place, lines: int) -> Found:
        """Give the last lines; nothing is raised, for one log that cannot be had says nothing of the others."""
        error = None
        if place.instance is not None:
            target = f"/logs?lines={lines}"
            said = await self._live.ask(place.instance, "GET", target, timeout_seconds=_ANSWER_SECONDS)
            found, error, times = said.read(_Tail), said.error, Times()
            if isinstance(found, _Tail):
                return Found(place, [times.of(line) for line in found.lines])
        if self._pod_logs is None or place.pod is None:
            return Found(place, [], error or {"code": "logs-unavailable", "detail": "its answer could not be read"})
        try:
            texts = await self._pod_logs.tail(place.pod, lines, with_last_life=place.instance is None)
        except Problem as problem:
            return Found(place, [], {"status": problem.status, "detail": problem.detail, "code": problem.code})
        return Found(place, texts)

    async def follow(self, place: Place, lines: int) -> AsyncGenerator[Text, None]:
        """Give the last lines and then each new one, until whoever gives them ends it; nothing is raised."""
        stream = None if place.instance is None else await self._open(place.instance, lines)
        try:
            if stream is not None:
                async for text in _read(stream):
                    yield text
            elif self._pod_logs is not None and place.pod is not None:
                async for text in self._pod_logs.follow(place.pod, lines):
                    yield text
        except (CallError, EventTooLarge, Problem):
            return
        finally:
            if stream is not None:
                await stream.aclose()

    async def _open(self, instance: Instance, lines: int) -> Chunks | None:
        """Give the stream of an adapter; None where it has no log to follow, or does not answer."""
        headers = [*self._live.headers(instance), (b"accept", b"text/event-stream")]
        call = self._client.call(instance.origin, "GET", f"/logs?lines={lines}&follow=true", headers)
        with contextlib.suppress(CallError):
            return (await call.response()).stream
        return None


async def _read(stream: Chunks) -> AsyncGenerator[Text, None]:
    parser, times = EventParser(), Times()
    async for piece in stream:
        for event in parser.feed(piece):
            yield times.of(_line(event.data))


def _line(data: str) -> str:
    try:
        return msgspec.json.decode(data, type=str)
    except msgspec.MsgspecError:
        return data
