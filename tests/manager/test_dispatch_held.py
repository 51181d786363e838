"""Calls that wait: through a restart, a loss, a start; and what ends the wait."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from agent_contract.config import Agent

from tests.manager.fake_adapter import Call, FakeAdapter
from tests.manager.manager_rig import ManagerRig, running_manager


@pytest.fixture
async def brief() -> AsyncIterator[ManagerRig]:
    """Give a manager that holds calls for half a second at most."""
    async with running_manager(hold_seconds=0.5) as running:
        yield running


async def held(rig: ManagerRig, count: int = 1) -> None:
    """Wait until so many calls are held."""
    await rig.until(lambda: rig.manager.dispatcher.held_calls == count)


async def going(adapter: FakeAdapter, rig: ManagerRig) -> None:
    """Let an instance begin to go, as its beat says."""
    adapter.state = "stopping"
    await rig.beat(adapter)


def call(rig: ManagerRig, agent_id: str = "echo") -> "asyncio.Task[httpx.Response]":
    """Begin a call."""
    return asyncio.create_task(rig.execute(agent_id))


async def test_a_call_waits_through_a_restart(rig: ManagerRig) -> None:
    """The client sees one answer, that of the new life, and the old one none of it."""
    old = await rig.adapter()
    await going(old, rig)
    waiting = call(rig)
    await held(rig)
    new = await rig.successor(old)
    assert (await waiting).status_code == 200
    assert (len(old.calls), len(new.calls)) == (0, 1)


async def test_a_call_that_meets_the_drain_before_the_manager_knows_waits_too(rig: ManagerRig) -> None:
    """The adapter refuses, its beat has not come yet: the manager believes the refusal."""
    old = await rig.adapter()
    old.state = "stopping"
    waiting = call(rig)
    await held(rig)
    new = await rig.successor(old)
    assert (await waiting).status_code == 200
    assert len(new.calls) == 1


async def test_a_call_waits_for_an_instance_that_starts(rig: ManagerRig) -> None:
    """It registered and is not up yet."""
    adapter = await rig.adapter(status="starting")
    waiting = call(rig)
    await held(rig)
    assert adapter.calls == []
    adapter.state = "running"
    await rig.beat(adapter)
    assert (await waiting).status_code == 200


async def test_a_call_waits_for_an_instance_that_was_lost(rig: ManagerRig) -> None:
    """Nobody listens at its address; another process takes it over."""
    old = await rig.adapter()
    await old.stop()
    waiting = call(rig)
    await held(rig)
    new = await FakeAdapter("echo").start(old.port)
    await rig.register(new)
    assert (await waiting).status_code == 200
    await new.stop()


async def test_the_wait_ends_with_the_last_refusal(brief: ManagerRig) -> None:
    """An instance that stops for long says so itself when the wait is over."""
    old = await brief.adapter()
    old.state = "stopping"
    answer = await call(brief)
    assert (answer.status_code, answer.json()["code"]) == (409, "stopping")
    assert answer.headers["x-agent-refused"] == "stopping"


async def test_the_wait_ends_with_a_503_when_nobody_is_there(brief: ManagerRig) -> None:
    """No work began, and it is worth trying again."""
    old = await brief.adapter()
    await brief.unregister(old)
    answer = await call(brief)
    assert (answer.status_code, answer.json()["code"], answer.json()["started"]) == (503, "unavailable", False)
    assert answer.headers["retry-after"] == "1"


async def test_a_call_that_comes_after_the_wait_is_answered_at_once(brief: ManagerRig) -> None:
    """The half second counts from when the last instance began to go."""
    old = await brief.adapter()
    await brief.unregister(old)
    await call(brief)
    async with asyncio.timeout(0.3):
        assert (await call(brief)).status_code == 503
    assert old.calls == []


async def test_an_instance_that_starts_for_long_says_so_itself(brief: ManagerRig) -> None:
    """When the wait is over it is asked, for it knows best."""
    await brief.adapter(status="starting")
    answer = await call(brief)
    assert (answer.status_code, answer.json()["code"]) == (503, "starting")


async def test_a_held_call_that_meets_at_capacity_waits_on(rig: ManagerRig) -> None:
    """The instance is back and full: the call takes the next free place."""
    old = await rig.adapter()
    await going(old, rig)
    waiting = [call(rig) for _ in range(2)]
    await held(rig, 2)
    place, release = asyncio.Semaphore(1), asyncio.Event()

    async def one_at_a_time(arrived: Call) -> None:
        if place.locked():
            await arrived.refuse("at-capacity")
            return
        async with place:
            await release.wait()
            await arrived.answer()

    new = await FakeAdapter("echo").start()
    new.execute = one_at_a_time
    await rig.register(new)
    await new.arrival(2)
    release.set()
    assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200, 200]
    await new.stop()


async def test_a_call_that_was_not_held_gets_at_capacity_at_once(rig: ManagerRig) -> None:
    """All are busy: the client decides whether to wait."""
    adapter = await rig.adapter()
    adapter.execute = lambda arrived: arrived.refuse("at-capacity")
    async with asyncio.timeout(0.5):
        assert (await call(rig)).json()["code"] == "at-capacity"


@pytest.mark.parametrize("action", ["pause", "stop"])
async def test_an_order_ends_the_wait(rig: ManagerRig, action: str) -> None:
    """After a stop or a pause through the API nobody is coming: the client gets a refusal at once."""
    await rig.adapter(status="starting")
    waiting = call(rig)
    await held(rig)
    async with asyncio.timeout(1):
        await rig.act("echo", action)
        answer = await waiting
    assert answer.headers["x-agent-refused"] == answer.json()["code"]
    assert answer.json()["started"] is False


@pytest.mark.parametrize(("action", "code"), [("pause", "paused"), ("stop", "stopping")])
async def test_nothing_is_held_after_an_order_to_the_only_instance(rig: ManagerRig, action: str, code: str) -> None:
    """Also when it named the instance, which leaves the agent's desired state as it is."""
    adapter = await rig.adapter()
    await rig.act("echo", action, instanceId=adapter.instance_id)
    async with asyncio.timeout(0.5):
        answer = await call(rig)
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert rig.desired() == "running"


async def test_a_manager_that_leaves_ends_the_wait(rig: ManagerRig) -> None:
    """No work began: another manager, or this one's successor, can be tried."""
    await rig.adapter(status="starting")
    waiting = call(rig)
    await held(rig)
    rig.manager.dispatcher.stop_holding()
    answer = await waiting
    assert (answer.status_code, answer.json()["code"], answer.json()["started"]) == (503, "unavailable", False)


async def test_a_held_call_whose_client_leaves_is_not_sent(rig: ManagerRig) -> None:
    """Nobody waits for it, and nothing began."""
    adapter = await rig.adapter(status="starting")
    waiting = call(rig)
    await held(rig)
    waiting.cancel()
    await held(rig, 0)
    adapter.state = "running"
    await rig.beat(adapter)
    assert (await rig.execute()).status_code == 200
    assert len(adapter.calls) == 1
    assert 'forward_requests_total{agent="echo",code="499"} 1.0' in (await rig.client.get("/metrics")).text


async def test_held_calls_are_shown(rig: ManagerRig) -> None:
    """An operator sees how many callers wait."""
    await rig.adapter(status="starting")
    waiting = [call(rig) for _ in range(3)]
    await held(rig, 3)
    assert 'agent_manager_held_requests{agent="echo"} 3.0' in (await rig.client.get("/metrics")).text
    rig.manager.dispatcher.stop_holding()
    await asyncio.gather(*waiting)
    assert 'agent_manager_held_requests{agent="echo"} 0.0' in (await rig.client.get("/metrics")).text


async def test_more_calls_than_may_wait_are_answered_at_once(rig: ManagerRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded."""
    monkeypatch.setattr("agent_manager.held_calls.MAX_HELD_CALLS", 1)
    await rig.adapter(status="starting")
    first = call(rig)
    await held(rig)
    async with asyncio.timeout(0.5):
        assert (await call(rig)).json()["code"] == "starting"
    rig.manager.dispatcher.stop_holding()
    await first


async def test_a_young_manager_waits_for_an_agent_that_it_does_not_know() -> None:
    """It may be alive and about to register."""
    async with running_manager(old=False) as rig:
        waiting = call(rig)
        await held(rig)
        adapter = await rig.adapter()
        assert (await waiting).status_code == 200
        assert len(adapter.calls) == 1


async def test_a_young_manager_does_not_wait_for_ever() -> None:
    """1.2 heartbeat intervals after its start it has heard of all that live."""
    async with running_manager(old=False, heartbeat_interval_seconds=0.1) as rig, asyncio.timeout(2):
        answer = await call(rig)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown-agent")


async def test_a_young_manager_does_not_wait_where_a_port_refuses() -> None:
    """Nobody runs there."""
    async with running_manager(Agent(id="echo", port=1), old=False) as rig, asyncio.timeout(2):
        await rig.until(lambda: bool(rig.manager.registry.agents["echo"].port_refuses))
        assert (await call(rig)).status_code == 503


async def test_six_restarts_of_two_instances_fail_no_call(rig: ManagerRig) -> None:
    """Callers in a closed loop while one instance after the other is replaced: no answer but 200, none twice."""
    adapters = [await rig.adapter(), await rig.adapter()]
    answers: list[int] = []
    over = asyncio.Event()

    async def loop() -> None:
        while not over.is_set():
            answers.append((await rig.execute()).status_code)

    async with asyncio.TaskGroup() as callers:
        for _ in range(4):
            callers.create_task(loop())
        for number in range(6):
            old = adapters[number % 2]
            old.state = "stopping"
            adapters[number % 2] = await rig.successor(old)
        over.set()
    assert set(answers) == {200}
    assert len(answers) > 40
