"""Probing instances on real sockets."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from agent_manager.agent_client import AgentClient
from agent_manager.probes import AT_ONCE
from agent_manager.records import Timing
from agent_manager.sweeper import Sweeper

from tests.manager.answering import answering
from tests.manager.ward import Ward


@pytest.fixture
async def client() -> AsyncIterator[AgentClient]:
    """Give the product's client."""
    client = AgentClient()
    yield client
    await client.close()


@pytest.fixture
def ward(client: AgentClient) -> Ward:
    """Give a registry and its prober."""
    return Ward(client)


async def test_answered_probe_counts_as_heard(ward: Ward) -> None:
    """With the state that the instance says, and with the manager's token."""
    async with answering("a1") as there:
        instance = ward.register("a1", there.url)
        there.state = "paused"
        ward.clock.now += 2
        await ward.prober.probe(instance)
        assert (instance.state, instance.heard_at, instance.answered_at) == ("paused", ward.clock.now, ward.clock.now)
        assert (there.requests, there.tokens) == (["GET /status"], ["secret"])


async def test_refused_probe_makes_unreachable_at_once(ward: Ward) -> None:
    """The connection was refused: one time is enough."""
    async with answering("a1") as there:
        instance = ward.register("a1", there.url)
    await ward.prober.probe(instance)
    assert not instance.reachable
    assert instance.problem is not None
    assert "refused" in instance.problem.detail.lower()


@pytest.mark.parametrize(("http_status", "body"), [(401, None), (503, None), (200, b"nonsense"), (200, b"{}")])
async def test_answer_that_says_nothing_is_a_failed_probe(ward: Ward, http_status: int, body: bytes | None) -> None:
    """Two of them end routing; the problem says what was answered."""
    async with answering("a1") as there:
        there.http_status, there.body = http_status, body
        instance = ward.register("a1", there.url)
        await ward.prober.probe(instance)
        assert instance.reachable
        await ward.prober.probe(instance)
        assert not instance.reachable
        assert ward.ids() == ["a1"]


async def test_silence_is_a_failed_probe_after_half_a_second(ward: Ward) -> None:
    """Twice, and the instance is not called any more; an answer brings it back."""
    async with answering("a1") as there:
        instance = ward.register("a1", there.url)
        there.silent = True
        before = time.monotonic()
        await ward.prober.probe(instance)
        assert 0.45 <= time.monotonic() - before < 1.5
        await ward.prober.probe(instance)
        assert not instance.reachable
        there.silent = False
        await ward.prober.probe(instance)
        assert instance.routable


async def test_who_has_calls_is_asked_every_second(ward: Ward) -> None:
    """Everyone else once a heartbeat interval."""
    ward.registry.timing = Timing(heartbeat_interval_seconds=5)
    for instance_id in ("a1", "b1"):
        ward.register(instance_id)
    ward["a1"].calls.add(object())  # type: ignore[arg-type]  # only their number counts
    assert ward.prober._due() == []
    ward.clock.now += 1
    assert ward.prober._due() == [ward["a1"]]
    ward.clock.now += 4
    assert ward.prober._due() == [ward["a1"], ward["b1"]]


async def test_probes_under_way_are_bounded(ward: Ward) -> None:
    """Whoever is in doubt comes first, then who has calls."""
    for number in range(1, 201):
        ward.register(f"a{number}")
    ward["a7"].calls.add(object())  # type: ignore[arg-type]  # only their number counts
    ward.prober.probe_soon(ward["a9"])
    ward.clock.now += 5
    due = ward.prober._due()
    assert (len(due), due[0], due[1]) == (AT_ONCE, ward["a9"], ward["a7"])
    ward.prober._under_way = {instance.instance_id: instance for instance in due}
    ward.prober.probe_soon(ward["a150"])
    assert ward.prober._due() == []
    assert "a150" in ward.prober._in_doubt


async def test_failed_connect_is_probed_at_once(ward: Ward) -> None:
    """A refused one ends routing by itself; one without an answer counts, and the probe decides."""
    async with answering("a1") as there, ward.running():
        instance = ward.register("a1", there.url)
        ward.prober.suspect(instance, refused=True)
        assert not instance.reachable
        async with asyncio.timeout(0.4):  # well before the next interval
            await there.asked.wait()
        await ward.until(lambda: instance.routable)
        ward.prober.suspect(instance, refused=False)
        assert instance.reachable


async def test_instance_with_calls_that_falls_silent_is_not_called_within_two_seconds(ward: Ward) -> None:
    """The probe a second after the last one fails, the next comes at once; an idle one is asked at its usual time."""
    async with answering("a1") as there, answering("b1") as idle, ward.running():
        instance, other = ward.register("a1", there.url), ward.register("b1", idle.url)
        ward.registry.timing = Timing(heartbeat_interval_seconds=60)
        _, kept = await ward.call(there, instance)
        await ward.until(lambda: "GET /status" in there.requests)
        there.silent = idle.silent = True
        silent_since = time.monotonic()
        ward.prober.probe_soon(other)
        await ward.until(lambda: not instance.reachable)
        assert time.monotonic() - silent_since < 2.5
        assert (instance.failed_probes, other.failed_probes, other.reachable) == (2, 1, True)
        kept.cancel()


async def test_unreachable_instance_is_found_again(ward: Ward) -> None:
    """It is asked once an interval, whatever it did not answer before."""
    async with answering("a1") as there:
        port, instance = there.origin.port, ward.register("a1", there.url)
    async with ward.running():
        ward.prober.suspect(instance, refused=True)
        async with answering("a1", port=port):
            await ward.until(lambda: instance.routable)
    assert ward.journal.codes.count("unreachable") == 1


async def test_lost_instances_are_probed_and_those_that_refuse_are_gone(ward: Ward) -> None:
    """Three killed at once are gone as soon as their ports refused; one that answers is back."""
    async with answering("a1") as there:
        ward.register("a1", there.url)
        for number in range(2, 5):
            ward.register(f"a{number}", f"http://127.0.0.1:{number}")
        ward.clock.now += 3.0
        ward.registry.sweep()
        sweeper = Sweeper(ward.registry, ward.prober, ward.background)
        ward.clock.now += 0.25
        await sweeper.sweep()
        assert ward.registry.lost == 4
        async with ward.running():
            await ward.until(lambda: ward.ids() == ["a1"] and ward["a1"].routable)
    assert {departure.reason for departure in ward.departures} == {"mass-loss"}


async def test_departed_instances_are_not_probed(ward: Ward) -> None:
    """What left is forgotten, also while it was in doubt."""
    instance = ward.register("a1")
    ward.prober.probe_soon(instance)
    ward.unregister("a1")
    ward.prober.probe_soon(instance)
    ward.prober.suspect(instance, refused=True)
    assert ward.prober._due() == []


async def test_background_goes_on_after_a_failure(ward: Ward) -> None:
    """A step that raises is logged and counted; a cancellation is not caught."""

    async def fail() -> None:
        raise RuntimeError("boom")

    await ward.background.step("probes", fail)
    await ward.background.step("probes", fail)
    assert ward.background.failures == {"probes": 2}

    async def wait() -> None:
        await asyncio.Event().wait()

    step = asyncio.ensure_future(ward.background.step("probes", wait))
    await asyncio.sleep(0)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
