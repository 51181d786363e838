"""The registry's clock: a sweep four times a second, and a probe for whoever was lost with many others."""

import asyncio

from agent_manager.background import Background
from agent_manager.liveness import SWEEP_SECONDS
from agent_manager.probes import Prober
from agent_manager.registry import Registry


class Sweeper:
    """Sweeps the registry."""

    def __init__(self, registry: Registry, prober: Prober, background: Background) -> None:
        self._registry = registry
        self._prober = prober
        self._background = background

    async def run(self) -> None:
        """Sweep, for ever. The registry sees by its own clock when a sweep came late."""
        while True:
            await self._background.step("sweep", self.sweep)
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Sweep once."""
        for instance in self._registry.sweep():
            self._prober.probe_soon(instance)
