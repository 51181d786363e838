"""Whether this manager may be sent requests: it knows who is there, and it is not leaving."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from agent_manager.answers import unavailable
from agent_manager.records import Source
from agent_manager.registry import Registry

PATIENCE_SECONDS: Final = 15.0
"""How long a source that does not list holds readiness up: a manager without it is better than none."""


class Readiness:
    """Ready once each source has listed, or after 15 s; never unready again but to leave."""

    def __init__(self, registry: Registry, sources: Collection[Source], clock: Callable[[], float]) -> None:
        self._registry = registry
        self._sources = tuple(sources)
        self._clock = clock
        self._ready = False
        self._going = False
        self.leaving = asyncio.Event()
        """Set when the manager closes its listener: event streams end themselves."""

    def withdraw(self) -> None:
        """Be unready from now on: the manager is about to leave."""
        self._going = True

    def check(self) -> list[Source]:
        """Give the sources that have not listed yet; raises Problem 503 `unavailable` while it is not ready."""
        stale = [source for source in self._sources if source not in self._registry.listed_at]
        if self._going:
            raise unavailable("the manager is leaving")
        self._ready = self._ready or not stale or self._clock() - self._registry.started_at >= PATIENCE_SECONDS
        if not self._ready:
            problem = unavailable(f"not listed yet: {', '.join(stale)}")
            problem.extra["stale"] = stale
            raise problem
        return stale
