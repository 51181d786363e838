"""Electors that seek one lease at a fake API server, in a time that a test moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from agent_manager.cluster.api import ClusterApi
from agent_manager.cluster.elector import LeaseElector, LeaseTiming

from tests.manager.fake_api_server import FakeApiServer, connected
from tests.manager.stage import EPOCH, Clock

LEASES = "/apis/coordination.k8s.io/v1/namespaces/here/leases"
HASTE = LeaseTiming(retry_seconds=0.01, request_seconds=0.05)
"""The true durations by the test's clock, and looks as often as the test wants to wait for them."""


class Candidate:
    """A manager's elector, its own clock, and what it told."""

    def __init__(self, api: ClusterApi, name: str, address: str | None) -> None:
        self.clock = Clock()
        self.losses = 0
        self.leaving = asyncio.Event()
        self.gives_back = asyncio.Event()
        self.wall_offset = timedelta()
        self.elector = LeaseElector(
            api, identity=name, address=address, clock=self.clock, wall=self._wall, timing=HASTE
        )
        self.elector.lost.append(self._lost)
        self._task: asyncio.Task[None] | None = None

    @property
    def leads(self) -> bool:
        """Whether it may act."""
        return self.elector.is_leader

    def begin(self) -> None:
        """Let it seek the lease."""
        self._task = asyncio.create_task(self.elector.run(self.leaving))

    async def leave(self) -> None:
        """Let it give the lease back and end."""
        self.leaving.set()
        assert self._task is not None
        await self._task

    async def cancel(self) -> None:
        """Cancel it, as the end of a process does."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _wall(self) -> datetime:
        return EPOCH + timedelta(seconds=self.clock.now) + self.wall_offset

    def _lost(self) -> None:
        assert not self.leads
        self.losses += 1
        if self.leaving.is_set():
            self.gives_back.set()


class Election:
    """Candidates for one lease."""

    def __init__(self, server: FakeApiServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.candidates: list[Candidate] = []

    @asynccontextmanager
    async def candidate(self, name: str, address: str | None = None, *, begin: bool = True) -> AsyncIterator[Candidate]:
        """Give one that has its own connection, until the block ends."""
        async with connected(self.server, self.folder) as api:
            made = Candidate(api, name, address or f"http://10.0.0.{len(self.candidates) + 1}:8080")
            self.candidates.append(made)
            if begin:
                made.begin()
            try:
                yield made
            finally:
                await made.cancel()

    @property
    def lease(self) -> dict[str, Any]:
        """The lease as it is."""
        return self.server.store.get(LEASES, "agent-manager")

    def pass_time(self, seconds: float) -> None:
        """Let time pass for everyone."""
        for candidate in self.candidates:
            candidate.clock.now += seconds

    async def looks(self, count: int = 3) -> None:
        """Wait until the server was asked so many times more: every candidate that runs has looked."""
        enough = len(self.server.requests) + count * max(1, len(self.candidates))
        await self.server.until(lambda: len(self.server.requests) >= enough)
