"""The evidence that a call is lost, on real sockets."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from agent_manager.agent_client import AgentClient, CallTimedOut, ConnectionLost

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
