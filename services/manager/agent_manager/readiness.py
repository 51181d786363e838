"""Whether this manager may be sent requests: it knows who is there, and it is not leaving."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from agent_manager.answers import unavailable
from agent_manager.cluster.watch_health import WatchHealth
from agent_manager.records import Source
from agent_manager.registry import Registry

PATIENCE_SECONDS: Final = 15.0
"""How long a source that does not list holds readiness up: a manager without it is better than none."""


class Stale(Struct, rename="camel", frozen=True, kw_only=True):
    """A source of which the manager does not know how things are now."""

    source: Source
    namespace: str | UnsetType = UNSET
    """Which part of it; absent for all of it."""
    since: datetime
    detail: str


class Readiness:
    """Ready once each source has listed, or after 15 s; never unready again but to leave."""

    def __init__(
        self,
        registry: Registry,
        sources: Collection[Source],
        watches: WatchHealth,
        *,
        clock: Callable[[], float],
        began_at: datetime,
    ) -> None:
        self._registry = registry
        self._sources = tuple(sources)
        self._watches = watches
        self._clock = clock
        self._began_at = began_at
        self._ready = False
        self._going = False
        self.leaving = asyncio.Event()
        """Set when the manager closes its listener: event streams end themselves."""

    def withdraw(self) -> None:
        """Be unready from now on: the manager is about to leave."""
        self._going = True

    def check(self) -> list[Stale]:
        """Give what is not known as it is now; raises Problem 503 `unavailable` while the manager is not ready.

        Once it is ready a source that fails changes nothing: what the manager knew it still knows, and an API server
        that is away takes no agent out of service.
        """
        unlisted = [source for source in self._sources if source not in self._registry.listed_at]
        stale = list(self._stale(unlisted))
        if self._going:
            raise unavailable("the manager is leaving")
        self._ready = self._ready or not unlisted or self._clock() - self._registry.started_at >= PATIENCE_SECONDS
        if not self._ready:
            problem = unavailable(f"not listed yet: {', '.join(unlisted)}")
            problem.extra["stale"] = stale
            raise problem
        return stale

    def _stale(self, unlisted: list[Source]) -> Iterator[Stale]:
        for part in self._watches.stale():
            yield Stale(source="kubernetes", namespace=part.namespace, since=part.since, detail=part.detail)
        for source in unlisted:
            if source != "kubernetes" or not self._watches.namespaces:
                yield Stale(source=source, since=self._began_at, detail="not listed yet")
