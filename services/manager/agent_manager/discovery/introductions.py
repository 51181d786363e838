"""Asks who is in a pod that nobody introduced: an adapter that does not register here, or did not yet.

Most do register, within a second. This is for those whose manager's address is another one, and for the first seconds
of a manager that was restarted.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import structlog

from agent_manager.background import Background
from agent_manager.discovery.events import Emit, Seen
from agent_manager.platform import Pod
from agent_manager.queries import InstanceQueries, QueryFailed
from agent_manager.records import AgentRecord

AT_ONCE: Final = 16
"""Pods asked at a time: a thousand that do not answer are no burst."""
_MOST_STRANGERS: Final = 10_000
"""Pods of which it is remembered that this was said; the oldest is forgotten first."""

log = structlog.stdlib.get_logger(__name__)


class Introductions:
    """Asks `/info` and `/status` of pods that run and have no known process."""

    def __init__(
        self,
        find: Callable[[str], AgentRecord | None],
        queries: InstanceQueries,
        background: Background,
        *,
        interval_seconds: float,
    ) -> None:
        self._find = find
        self._queries = queries
        self._background = background
        self._interval_seconds = interval_seconds
        self._limit = asyncio.Semaphore(AT_ONCE)
        self._strangers: dict[str, str] = {}
        self._newcomers: dict[str, Pod] = {}
        self._woken = asyncio.Event()

    def soon(self, pod: Pod) -> None:
        """Ask this pod at once: its adapter's container has begun to run."""
        self._newcomers[pod.uid] = pod
        self._woken.set()

    async def run(self, pods: Callable[[], Iterable[Pod]], emit: Emit) -> None:
        """Ask newcomers at once, and once an interval all that are to be asked, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask_regularly(pods, emit))
            while True:
                await self._woken.wait()
                self._woken.clear()
                newcomers, self._newcomers = self._newcomers, {}
                step = partial(self.ask_all, newcomers.values, emit)
                group.create_task(self._background.step("introductions", step))

    async def _ask_regularly(self, pods: Callable[[], Iterable[Pod]], emit: Emit) -> None:
        while True:
            await asyncio.sleep(self._interval_seconds)
            await self._background.step("introductions", partial(self.ask_all, pods, emit))

    async def ask_all(self, pods: Callable[[], Iterable[Pod]], emit: Emit) -> None:
        """Ask once."""
        async with asyncio.TaskGroup() as group:
            for pod in tuple(pods()):
                if self.is_wanted(pod):
                    group.create_task(self.ask(pod, emit))

    def is_wanted(self, pod: Pod) -> bool:
        """Tell whether somebody may answer there whom nobody knows."""
        record = self._find(pod.agent_id)
        is_bare = record is not None and pod.uid in record.bare_pods
        return is_bare and pod.running and pod.origin is not None and not pod.leaving

    async def ask(self, pod: Pod, emit: Emit) -> None:
        """Ask one pod, and tell who answered."""
        if pod.origin is None:
            return
        try:
            async with self._limit:
                info = await self._queries.info(pod.agent_id, pod.origin)
                status = await self._queries.status(pod.agent_id, pod.origin)
        except QueryFailed:
            return  # it is not up yet, or never will be: the kubelet's probes say so
        if info.id != pod.agent_id:
            self._warn_of_stranger(pod, info.id)
        elif info.instance_id == status.instance_id and self.is_wanted(pod):
            emit(Seen(source="kubernetes", service_url=str(pod.origin), info=info, status=status, pod_uid=pod.uid))

    def _warn_of_stranger(self, pod: Pod, found: str) -> None:
        if self._strangers.get(pod.uid) != found:
            self._strangers[pod.uid] = found
            if len(self._strangers) > _MOST_STRANGERS:
                del self._strangers[next(iter(self._strangers))]
            log.warning(
                "another agent in a pod", namespace=pod.namespace, pod=pod.name, agent=pod.agent_id, found=found
            )
