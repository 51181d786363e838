"""The lease on a real API server: taken once, lost when another takes it, given back at once."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from agent_manager.cluster.api import connect
from agent_manager.cluster.elector import LeaseElector, LeaseTiming

from tests.cluster.cluster import Namespace, in_thread

pytestmark = [pytest.mark.full, pytest.mark.cluster, pytest.mark.timeout(60)]

TIMING = LeaseTiming(duration_seconds=3, renew_deadline_seconds=2, retry_seconds=0.2, request_seconds=1)


class Candidate:
    """An elector that seeks the lease."""

    def __init__(self, elector: LeaseElector) -> None:
        self.elector = elector
        self.leaving = asyncio.Event()
        self.losses = 0
        self.task = asyncio.create_task(elector.run(self.leaving))
        elector.lost.append(self._lost)

    @property
    def leads(self) -> bool:
        """Whether it may act."""
        return self.elector.is_leader

    async def leave(self) -> None:
        """Let it give back what it has."""
        self.leaving.set()
        await self.task

    def _lost(self) -> None:
        self.losses += 1


@pytest.fixture(scope="module")
def empty(cluster: None) -> Iterator[Namespace]:
    """Give a namespace with nothing in it."""
    del cluster
    with Namespace(f"leases-{uuid.uuid4().hex[:8]}") as made:
        yield made


@contextlib.asynccontextmanager
async def candidate(namespace: Namespace, name: str) -> AsyncIterator[Candidate]:
    """Give one, until the block ends."""
    api = await connect(namespace=namespace.name)
    made = Candidate(
        LeaseElector(
            api,
            identity=name,
            address="http://10.0.0.1:8080",
            clock=time.monotonic,
            wall=lambda: datetime.now(UTC),
            timing=TIMING,
        )
    )
    try:
        yield made
    finally:
        made.task.cancel()
        await asyncio.wait((made.task,))
        await api.close()


async def spec(namespace: Namespace) -> Any:
    """Give the Lease's spec as it is."""
    (found,) = await in_thread(namespace.get, "leases")
    return found["spec"]


async def until(condition: Callable[[], bool]) -> None:
    """Wait until this is so."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # an elector tells nobody when it begins to lead
            await asyncio.sleep(0.02)


async def test_one_of_two_leads_and_the_other_follows_at_once(empty: Namespace) -> None:
    """Both make a lease that is not there yet; renewals keep it; who leaves gives it back, and that is counted."""
    async with candidate(empty, "one") as one, candidate(empty, "two") as two:
        await until(lambda: one.leads or two.leads)
        renewals = set()
        for _ in range(5):
            renewals.add((await spec(empty))["renewTime"])
            assert one.leads != two.leads
        first, second = (one, two) if one.leads else (two, one)
        await until(lambda: getattr(second.elector.holder, "identity", None) == first.elector.identity)
        assert len(renewals) > 1
        assert (await spec(empty))["leaseTransitions"] == 0
        await first.leave()
        began_at = time.monotonic()
        await until(lambda: second.leads)
        assert time.monotonic() - began_at < TIMING.duration_seconds / 2
        assert ((await spec(empty))["leaseTransitions"], first.losses, second.losses) == (1, 1, 0)


async def test_a_lease_that_a_person_gives_to_another_is_lost(empty: Namespace) -> None:
    """The next renewal is refused by its version; when that one does not renew, the lease is free again."""
    async with candidate(empty, "one") as one:
        await until(lambda: one.leads)
        taken = '{"spec":{"holderIdentity":"other","renewTime":"2026-01-01T00:00:00.000000Z"}}'
        await in_thread(empty.kubectl, "patch", "lease", "agent-manager", "--type=merge", "--patch", taken)
        await until(lambda: one.losses == 1)
        assert not one.leads
        await until(lambda: one.leads)
