"""An adapter with several managers behind one name: none of them holds up another, and what they order is made one."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from agent_adapter import heartbeat
from agent_adapter.supervisor import Ending

from tests.adapter.conftest import StartAdapter
from tests.adapter.fake_manager import orders, problem
from tests.adapter.sample_agents import Gate
from tests.adapter.several_managers import INTERVAL_SECONDS, Several, several


@pytest.fixture
async def managers(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Several]:
    """Give three managers behind one name."""
    async with several(monkeypatch) as all_of_them:
        yield all_of_them


async def test_each_hears_all_of_it(start: StartAdapter, managers: Several) -> None:
    """Registration, beats, what finished unfetched, the last word."""
    adapter = await start(process=managers.process)
    await managers.all_told("heartbeat", status="running")
    await adapter.execute({"a": 1}, prefer="respond-async")
    await adapter.in_hand(0)
    adapter.lifecycle.act("stop")
    assert await adapter.ended() is Ending.STOPPED
    for manager in managers.managers:
        assert manager.routes()[-2:] == ["results", "unregister"]
        assert {headers["host"] for headers in manager.headers} == {"managers.test:8080"}


async def test_one_that_comes_is_told_too_and_one_that_went_is_forgotten(
    start: StartAdapter, managers: Several
) -> None:
    """The name is looked up again and again; a restart of the last one at the address is a new conversation."""
    first, second, third = managers.managers
    managers.name.addresses = [first.address]
    adapter = await start(process=managers.process)
    await first.told("heartbeat")
    assert second.said == []
    managers.name.addresses = [first.address, second.address]
    await second.told("heartbeat")
    await first.go()
    managers.name.addresses = [second.address, third.address]
    await third.told("heartbeat")
    links = adapter.instance.supervisor.managers._links
    while first.address in links:
        await managers.name.looked_up(1)
    assert set(links) == {second.address, third.address}


async def test_one_that_the_name_left_out_is_kept_for_as_long_as_it_answers(
    start: StartAdapter, managers: Several
) -> None:
    """A manager that drains is not ready, so that its name is gone; it still forwards, and must hear of `stopping`."""
    first, second, _ = managers.managers
    adapter = await start("gated", process=managers.process)
    await managers.all_told("heartbeat", status="running")
    managers.name.addresses = [second.address]
    await managers.name.looked_up()
    call = await adapter.post({})
    await adapter.in_hand(1)
    adapter.lifecycle.act("stop")
    await first.told("heartbeat", lambda beat: beat["status"] == "stopping")
    Gate.opened.set()
    await call.answer()
    await adapter.ended()
    assert first.routes()[-1] == "unregister"


@pytest.mark.parametrize("end", ["gone", "another"])
async def test_one_that_the_name_left_out_is_dropped_at_its_first_failure(
    start: StartAdapter, managers: Several, end: str
) -> None:
    """Whoever gets its address next is told nothing, even where that is a manager that wants a registration."""
    first, second, third = managers.managers
    adapter = await start(process=managers.process)
    await managers.all_told("heartbeat")
    managers.name.addresses = [second.address, third.address]
    await managers.name.looked_up()
    known = len(first.said)
    if end == "gone":
        await first.go()
    else:
        first.answers("heartbeat", problem(404, "unknown-instance"))
    links = adapter.instance.supervisor.managers._links
    while first.address in links:
        await managers.name.looked_up(1)
    assert "register" not in [route for route, _ in first.said[known:]]


async def test_a_name_that_means_nothing_drops_nobody(start: StartAdapter, managers: Several) -> None:
    """No ready manager, or a name service that is down: those that are known are tried on, and found again."""
    first, *_ = managers.managers
    await start(process=managers.process)
    await managers.all_told("heartbeat")
    managers.name.addresses = []
    await managers.name.looked_up(3)
    await first.go()
    await managers.name.looked_up(3)
    await first.begin(first.port)
    told = len(first.said)
    await first.told("heartbeat", since=told)


async def test_a_name_of_too_many_addresses_is_not_followed_to_all(
    start: StartAdapter, managers: Several, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It means something else."""
    monkeypatch.setattr(heartbeat, "_MOST_MANAGERS", 2)
    first, second, third = managers.managers
    await start(process=managers.process)
    await second.told("heartbeat")
    await first.told("heartbeat")
    assert third.said == []


async def test_a_manager_that_hangs_takes_nothing_from_the_others(start: StartAdapter, managers: Several) -> None:
    """Even where the drain's deadline has come: the others hear all, and the process has left 2 s later."""
    hung, *others = managers.managers
    adapter = await start("gated", process=managers.process)
    await managers.all_told("heartbeat", status="running")
    await adapter.execute({}, prefer="respond-async")
    await adapter.in_hand(1)
    hung.open.clear()
    began = asyncio.get_running_loop().time()
    adapter.lifecycle.act("stop", 0)
    for manager in others:
        await manager.told("unregister")
        assert "results" in manager.routes()
    await adapter.ended()
    assert asyncio.get_running_loop().time() - began < 2
    assert "unregister" not in hung.routes()


async def test_an_idle_instance_waits_a_second_for_one_that_hangs(start: StartAdapter, managers: Several) -> None:
    """It may only be slow, and chooses this instance until it has answered; the others had all of it at once."""
    hung, *others = managers.managers
    adapter = await start(process=managers.process)
    await managers.all_told("heartbeat", status="running")
    hung.open.clear()
    began = asyncio.get_running_loop().time()
    adapter.lifecycle.act("stop")
    for manager in others:
        await manager.told("unregister")
    assert adapter.lifecycle.state == "stopping"
    await adapter.ended()
    assert 0.9 < asyncio.get_running_loop().time() - began < 2


async def test_a_slow_manager_hears_all_of_it(start: StartAdapter, managers: Several) -> None:
    """It has its own time, whatever the quick ones do."""
    slow, quick, _ = managers.managers
    adapter = await start(process=managers.process)
    await managers.all_told("heartbeat", status="running")
    slow.delay_seconds = 0.4
    beats = quick.routes().count("heartbeat")
    await quick.told("heartbeat", lambda _: quick.routes().count("heartbeat") >= beats + 3)
    adapter.lifecycle.act("stop")
    await adapter.ended()
    assert slow.routes()[-1] == "unregister"
    assert "stopping" in {word["status"] for route, word in slow.said if route == "heartbeat"}


@pytest.mark.parametrize("refusal", [problem(409, "registration-conflict"), problem(403, "forbidden-service-url")])
async def test_one_that_refuses_changes_nothing_for_the_others(
    start: StartAdapter, managers: Several, refusal: tuple[int, dict[str, object]]
) -> None:
    """It comes up at once, beats where it is taken, and leaves without waiting."""
    refusing, *others = managers.managers
    refusing.answers("register", *[refusal] * 1000)
    began = asyncio.get_running_loop().time()
    adapter = await start(process=managers.process)
    assert asyncio.get_running_loop().time() - began < 0.9
    for manager in others:
        await manager.told("heartbeat", lambda beat: beat["status"] == "running")
    adapter.lifecycle.act("stop")
    await adapter.ended()
    assert [manager.routes()[-1] for manager in others] == ["unregister"] * 2
    assert "unregister" not in refusing.routes()


async def test_a_new_process_is_paused_by_any_first_answer(start: StartAdapter, managers: Several) -> None:
    """A manager that is young does not know what was ordered, and may answer first; `running` never shows."""
    *quick, slow = managers.managers
    slow.answers("register", (200, orders("paused")))
    slow.delay_seconds = 0.2
    adapter = await start(wait=False, process=managers.process)
    states: set[str] = set()

    def note() -> bool:
        states.add(adapter.lifecycle.state)
        return states != {"starting"}

    await adapter.until(note)
    assert states == {"starting", "paused"}
    assert [manager.said[0][0] for manager in quick] == ["register"] * 2


async def test_what_is_sent_back_is_the_word_that_changed_last(start: StartAdapter, managers: Several) -> None:
    """Orders are given at one manager; the others' unchanged word says nothing, however often it comes."""
    ordered, quiet, restarted = managers.managers
    await start(process=managers.process)
    await managers.all_told("heartbeat", status="running")
    for word in ("paused", "running"):
        ordered.usual = orders(word, INTERVAL_SECONDS)
        since = len(ordered.said)
        await ordered.told("heartbeat", lambda _, at=since: len(ordered.said) > at + 1)  # type: ignore[misc]  # a default binds it
        beats = len(quiet.said)
        await quiet.told("heartbeat", lambda _, at=beats: len(quiet.said) > at + 1)  # type: ignore[misc]  # the same
        restarted.answers("heartbeat", problem(404, "unknown-instance"))
        again = await restarted.told("register", since=len(restarted.said))
        assert again["desiredState"] == word


async def test_a_verdict_of_several_managers_on_one_life_counts_once(start: StartAdapter, managers: Several) -> None:
    """All of them know the newer process at its address: it takes a new id, and stays."""
    adapter = await start(process=managers.process)
    await managers.all_told("heartbeat", status="running")
    old = managers.managers[0].said[-1][1]["instanceId"]
    for manager in managers.managers:
        manager.open.clear()
        manager.answers("heartbeat", problem(409, "stale-instance"))
    for manager in managers.managers:
        await manager.holds_one()
    for manager in managers.managers:
        manager.open.set()
    for manager in managers.managers:
        await manager.told("register", lambda word: word["instanceId"] != old)
    assert adapter.lifecycle.state == "running"
    assert adapter.instance.supervisor.failure is None
