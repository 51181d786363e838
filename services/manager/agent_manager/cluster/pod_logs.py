"""The logs of pods by the API: of the adapter's container, or of the one that keeps the pod from starting.

The pod is read afresh each time: which container speaks, and whether it lived before, changes from one second to the
next, and nobody else needs to know.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Final

import msgspec
from agent_contract.problems import Problem
from agent_contract.tail import MAX_LINE_BYTES, MAX_TAIL_BYTES
from msgspec import Struct

from agent_manager.cluster.api import ApiFailed, ApiUnreachable, ClusterApi
from agent_manager.cluster.objects import UNREADABLE, ContainerStatus, PodObject, PodStatus
from agent_manager.cluster.pods import adapter_container
from agent_manager.log_lines import Text, Times
from agent_manager.platform import Pod

_ANSWER_SECONDS: Final = 10.0
_SILENCE_SECONDS: Final = 300.0
"""A followed log may say nothing for hours; its connection is made anew so often, for proxies cut it in silence."""
_AGAIN_SECONDS: Final = 5.0
"""How long after its end the log of a pod is asked for again: containers that crash end it each time."""
_POD: Final = msgspec.json.Decoder(PodObject)


class Container(Struct, frozen=True):
    """Whose log it is."""

    name: str
    lived_before: bool = False
    """It runs, and ran and ended before: that log says why. Of one that waits after a crash the API gives it anyway."""


class PodLogs:
    """Reads them (log_sources.PodLogs)."""

    def __init__(self, api: ClusterApi) -> None:
        self._api = api

    async def tail(self, pod: Pod, lines: int, *, with_last_life: bool) -> list[Text]:
        """Give the last lines, oldest first, of the life before the present one too if wanted.

        Raises:
            Problem: 503 `logs-unavailable`: the pod is gone, its container never ran, or the API does not give it.

        """
        container = await self._container(pod)
        texts: list[Text] = []
        if with_last_life and container.lived_before:
            with contextlib.suppress(Problem):  # the kubelet keeps one life, and not for ever
                texts = await self._last(pod, container.name, lines, previous=True)
        return [*texts, *await self._last(pod, container.name, lines)][-lines:]

    async def follow(self, pod: Pod, lines: int) -> AsyncGenerator[Text, None]:
        """Give the last lines and then each new one, until the container ends; raises as `tail` does."""
        container = await self._container(pod)
        async with contextlib.aclosing(self._texts(pod, container.name, lines, follow=True)) as texts:
            async for text in texts:
                yield text
        await asyncio.sleep(_AGAIN_SECONDS)

    async def _last(self, pod: Pod, container: str, lines: int, *, previous: bool = False) -> list[Text]:
        """Give the last lines, at most `MAX_TAIL_BYTES` of them: what an agent prints must not fill the manager."""
        kept: deque[Text] = deque(maxlen=lines)
        size = 0
        async with contextlib.aclosing(self._texts(pod, container, lines, previous=previous)) as texts:
            async for text in texts:
                if len(kept) == lines:
                    size -= len(kept[0].line)
                kept.append(text)
                size += len(text.line)
                while size > MAX_TAIL_BYTES:
                    size -= len(kept.popleft().line)
        return list(kept)

    async def _texts(
        self, pod: Pod, container: str, lines: int, *, follow: bool = False, previous: bool = False
    ) -> AsyncGenerator[Text, None]:
        query = {"container": container, "tailLines": str(lines), "timestamps": "true"}
        query |= {name: "true" for name, wanted in (("follow", follow), ("previous", previous)) if wanted}
        silence = _SILENCE_SECONDS if follow else _ANSWER_SECONDS
        times = Times()
        try:
            async with contextlib.aclosing(
                self._api.watch(f"{_path(pod)}/log", query, inactivity_seconds=silence, text=True)
            ) as raw:
                async for line in raw:
                    yield _text(line, times)
        except (ApiFailed, ApiUnreachable) as error:
            raise _unavailable(pod, error) from error

    async def _container(self, pod: Pod) -> Container:
        """Give the container whose log tells most: one that fails before the adapter's starts, else that."""
        try:
            thing = _POD.decode(await self._api.request("GET", _path(pod), timeout_seconds=_ANSWER_SECONDS))
        except (ApiFailed, ApiUnreachable) as error:
            raise _unavailable(pod, error) from error
        except UNREADABLE as error:
            raise Problem("logs-unavailable", f"cannot read pod {pod.namespace}/{pod.name}: {error}") from error
        if thing.metadata.uid != pod.uid:
            raise Problem("logs-unavailable", f"pod {pod.namespace}/{pod.name} was replaced by another of its name")
        return container_of(thing)


def container_of(thing: PodObject) -> Container:
    """Give the container of a pod whose log tells most; raises Problem 503 for a pod without any.

    Mostly the adapter's. An init container comes first that fails, or that still runs while the adapter waits for it.
    """
    adapter = adapter_container(thing.spec)
    if adapter is None:
        raise Problem("logs-unavailable", f"pod {thing.metadata.name} has no container")
    status = thing.status or PodStatus()
    before = status.init_container_statuses or []
    known = {one.name: one for one in (*before, *(status.container_statuses or ()))}
    own = known.get(adapter.name)
    sidecars = {one.name for one in thing.spec.init_containers or () if one.restart_policy == "Always"}
    waits = own is None or own.state is None or own.state.waiting is not None
    for one in before:
        if one.name != adapter.name and (_fails(one) or (waits and _runs(one) and one.name not in sidecars)):
            return Container(one.name)
    lived = own is not None and own.last_state is not None and own.last_state.terminated is not None
    return Container(adapter.name, lived_before=lived and own is not None and _runs(own))


def _runs(status: ContainerStatus) -> bool:
    return status.state is not None and status.state.running is not None


def _fails(status: ContainerStatus) -> bool:
    """Tell whether it ended badly, and does not run again yet."""
    for state in (status.state, status.last_state):
        if state is not None and state.running is not None:
            return False
        if state is not None and state.terminated is not None:
            return state.terminated.exit_code != 0
    return False


def _text(line: bytes, times: Times) -> Text:
    """Take the kubelet's time off the front of a line, and cut a long one as an adapter's log is cut."""
    time, _, rest = line.partition(b" ")
    text = rest[:MAX_LINE_BYTES].decode("utf-8", "replace").removesuffix("\r")
    with contextlib.suppress(ValueError):
        at = datetime.fromisoformat(time.decode("ascii"))
        return times.of(text if len(rest) <= MAX_LINE_BYTES else text + "…", at)
    return times.of(line[:MAX_LINE_BYTES].decode("utf-8", "replace"))


def _path(pod: Pod) -> str:
    return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"


def _unavailable(pod: Pod, error: Exception) -> Problem:
    said = error.message if isinstance(error, ApiFailed) else str(error)
    return Problem("logs-unavailable", f"pod {pod.namespace}/{pod.name}: {said}")
