"""The pods and workloads of a cluster that carry an agent's label, watched in the manager's namespaces.

Nothing that goes wrong here ends anything else: an API server that is away, or that refuses, leaves everything as it
was last told; heartbeats and forwarding go on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Final

import structlog
from agent_contract.wire import ProblemState

from agent_manager.background import Background
from agent_manager.cluster.api import ClusterApi
from agent_manager.cluster.collection import Collection, Mirror
from agent_manager.cluster.mirrors import PodMirror, WorkloadMirror
from agent_manager.cluster.pace import Pace
from agent_manager.cluster.reflector import Reflector
from agent_manager.cluster.watch_health import WatchHealth
from agent_manager.discovery.events import Denied, Emit, Listed
from agent_manager.discovery.introductions import Introductions
from agent_manager.platform import Pod, WorkloadKind
from agent_manager.records import Source

_WORKLOADS: Final[Mapping[str, WorkloadKind]] = {"deployments": "Deployment", "statefulsets": "StatefulSet"}
_AGAIN_SECONDS: Final = 1.0
"""How often pods are looked at that read otherwise with time."""

log = structlog.stdlib.get_logger(__name__)


class KubernetesDiscovery:
    """Watches pods, Deployments and StatefulSets, and asks pods who is in them."""

    name: Source = "kubernetes"

    def __init__(
        self,
        api: ClusterApi,
        health: WatchHealth,
        introductions: Introductions,
        background: Background,
        *,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._api = api
        self._health = health
        self._introductions = introductions
        self._background = background
        self._pace = pace or Pace()
        self._clock = clock
        self._sleep = sleep
        self._pods: list[PodMirror] = []
        self._unlisted: set[Collection] = set()
        self._denied: dict[str, ProblemState] = {}

    async def run(self, emit: Emit) -> None:
        """Watch, for ever."""
        self._health.changed = partial(self._look_into_rights, emit)
        reflectors = [self._reflector(collection, emit) for collection in self._collections()]
        async with asyncio.TaskGroup() as group:
            for reflector in reflectors:
                group.create_task(reflector.run())
            group.create_task(self._look_again())
            group.create_task(self._introductions.run(self._all_pods, emit))

    def _collections(self) -> Iterator[Collection]:
        for namespace in self._health.namespaces:
            yield Collection("/api/v1", "pods", namespace)
            for plural in _WORKLOADS:
                yield Collection("/apis/apps/v1", plural, namespace)

    def _reflector(self, collection: Collection, emit: Emit) -> Reflector:
        self._unlisted.add(collection)
        return Reflector(
            self._api,
            collection,
            self._mirror(collection, emit),
            self._health.watch(collection.namespace, collection.plural),
            self._background,
            pace=self._pace,
            clock=self._clock,
            sleep=self._sleep,
        )

    def _mirror(self, collection: Collection, emit: Emit) -> Mirror:
        listed = partial(self._listed, collection, emit)
        if collection.plural in _WORKLOADS:
            return WorkloadMirror(_WORKLOADS[collection.plural], emit, listed=listed)
        mirror = PodMirror(emit, wall=self._health.wall, appeared=self._introductions.soon, listed=listed)
        self._pods.append(mirror)
        return mirror

    def _listed(self, collection: Collection, emit: Emit) -> None:
        """Say that everything was told, as soon as each reflector has listed, and whenever one lists again."""
        first = bool(self._unlisted)
        self._unlisted.discard(collection)
        if not self._unlisted:
            emit(Listed(source=self.name, instance_ids=None))
            if first:
                log.info("cluster listed", namespaces=self._health.namespaces, pods=len(list(self._all_pods())))

    def _look_into_rights(self, emit: Emit, namespace: str) -> None:
        """Say when the manager may not see a namespace (any more), and when it may again."""
        problem = self._health.denial(namespace)
        if problem == self._denied.get(namespace):
            return
        if problem is None:
            del self._denied[namespace]
        else:
            self._denied[namespace] = problem
        emit(Denied(namespace=namespace, problem=problem))

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(_AGAIN_SECONDS)
            for mirror in self._pods:
                await self._background.step("kubernetes-pods", mirror.look_again)

    def _all_pods(self) -> Iterator[Pod]:
        for mirror in self._pods:
            yield from mirror.pods.values()
