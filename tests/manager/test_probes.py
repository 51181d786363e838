"""Probing instances on real sockets, and the evidence that a call is lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from agent_manager.agent_client import AgentClient, Call, CallTimedOut, ConnectionLost
from agent_manager.background import Background
from agent_manager.probes import AT_ONCE, Prober
from agent_manager.queries import InstanceQueries
from agent_manager.records import Instance, Timing
from agent_manager.sweeper import Sweeper

from tests.manager.answering import Answering, answering
from tests.manager.stage import Stage


class Ward(Stage):
    """A registry with a prober that runs by the real clock."""

    def __init__(self, client: AgentClient) -> None:
        super().__init__(timing=Timing(ttl_seconds=3, heartbeat_interval_seconds=0.5))
        self.client = client
        self.clock.now = time.monotonic()
        self.background = Background()
        self.queries = InstanceQueries(client, lambda: "secret")
        self.prober = Prober(self.registry, self.queries, self.background, clock=self.clock)

    def use_real_time(self) -> None:
        """Let every clock be the real one from now on."""
        self.registry._clock = self.prober._clock = time.monotonic

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the prober in real time."""
        self.use_real_time()
        task = asyncio.create_task(self.prober.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            assert not self.background.failures

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the registry changed to what is expected."""
        async with asyncio.timeout(5):
            while not condition():
                await self.registry.changed("a", 0.05)

    async def call(self, there: Answering, instance: Instance) -> tuple[Call, "asyncio.Task[object]"]:
        """Put a call that is not answered into an instance's hand."""
        there.silent, there.state = True, "running"
        there.asked.clear()
        call = self.client.call(there.origin, "POST", "/execute", body=b"{}")
        instance.calls.add(call)
        task = asyncio.ensure_future(call.response())
        task.add_done_callback(lambda _: instance.calls.discard(call))
        await there.asked.wait()
        there.silent = False
        return call, task


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


async def test_other_life_at_the_address_ends_record_and_calls(ward: Ward) -> None:
    """Its calls end within two seconds with the error that says so, and its id is worn out."""
    async with answering("a1") as there, ward.running():
        instance = ward.register("a1", there.url)
        _, lost = await ward.call(there, instance)
        there.instance_id = "a2"
        with pytest.raises(ConnectionLost, match="another process"):
            async with asyncio.timeout(2):
                await lost
        assert ward.registry.is_stale("a1")
        assert ward.ids() == []


async def test_replaced_life_loses_its_calls_at_once(ward: Ward) -> None:
    """A newcomer that proved itself at the address is the same evidence."""
    async with answering("a1") as there:
        instance = ward.register("a1", there.url)
        _, lost = await ward.call(there, instance)
        ward.register("a2", there.url)
        with pytest.raises(ConnectionLost):
            await lost


async def test_call_without_a_byte_or_an_answered_probe_is_lost_after_a_ttl(ward: Ward) -> None:
    """Beats do not count: they come the other way."""
    async with answering("a1") as there:
        instance = ward.register("a1", there.url)
        call, lost = await ward.call(there, instance)
        ward.clock.now = call.last_byte_at + 2.9
        ward.beat("a1")
        ward.prober._give_up_lost_calls()
        assert not lost.done()
        ward.clock.now += 0.1
        ward.beat("a1")
        ward.prober._give_up_lost_calls()
        with pytest.raises(CallTimedOut):
            await lost


async def test_answered_probes_keep_a_call(ward: Ward) -> None:
    """An agent may think for an hour: while its adapter answers, its call is not lost."""
    async with answering("a1") as there:
        instance = ward.register("a1", there.url)
        _, kept = await ward.call(there, instance)
        for _ in range(10):
            ward.clock.now += 2
            await ward.prober.probe(instance)
            ward.prober._give_up_lost_calls()
        assert not kept.done()
        kept.cancel()


async def test_call_that_is_not_sent_yet_is_left_alone(ward: Ward) -> None:
    """It waits for its connection, which has a bound of its own."""
    async with answering("a1") as there:
        instance = ward.register("a1", there.url)
        call = ward.client.call(there.origin, "POST", "/execute")
        instance.calls.add(call)
        ward.clock.now += 1000
        ward.prober._give_up_lost_calls()
        assert (await call.response()).status == 200


async def test_calls_of_an_instance_that_left_are_watched_on(ward: Ward) -> None:
    """An unregistered instance answers what it has in hand; if it does not, they are lost like any other."""
    async with answering("a1") as there:
        instance = ward.register("a1", there.url)
        call, lost = await ward.call(there, instance)
        ward.unregister("a1")
        assert ward.prober._due() == []
        ward.clock.now = call.last_byte_at + 1.1
        assert ward.prober._due() == [instance]
        ward.clock.now += 1.9
        ward.prober._give_up_lost_calls()
        with pytest.raises(CallTimedOut):
            await lost
        ward.prober._give_up_lost_calls()
        assert ward.prober._orphans == {}


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
