"""What an instance tells its managers as it leaves: what finished, what was cut, that it goes."""

import asyncio

import httpx
import pytest
from agent_adapter.supervisor import Ending

from tests.adapter.conftest import Begin, StartAdapter
from tests.adapter.fake_manager import FakeManager, managing, orders
from tests.adapter.running_adapter import PATIENCE_SECONDS
from tests.adapter.sample_agents import Gate


async def test_it_says_goodbye_before_its_listener_closes(begin: Begin, manager: FakeManager) -> None:
    """`stopping` first, then what finished unfetched, then the last word; a call is still answered."""
    adapter = await begin("gated")
    Gate.opened.set()
    task_id = (await adapter.execute({"a": 1}, prefer="respond-async", idempotency_key="k")).json()["taskId"]
    await adapter.in_hand(0)
    Gate.opened.clear()
    call = await adapter.post({})
    await adapter.in_hand(1)
    answered: list[asyncio.Task[httpx.Response]] = []

    def try_now(route: str) -> None:
        if route == "unregister":
            answered.append(asyncio.create_task(adapter.client.get("/health")))

    manager.on_word = try_now
    adapter.lifecycle.act("stop")
    await manager.told("heartbeat", lambda beat: beat["status"] == "stopping")
    Gate.opened.set()
    await call.answer()
    assert await adapter.ended() is Ending.STOPPED
    routes = manager.routes()
    assert routes[-2:] == ["results", "unregister"]
    assert (await answered[0]).status_code == 200
    results, last = manager.said[-2][1]["results"], manager.said[-1][1]
    assert [(each["taskId"], each["key"], each["state"], each["result"]) for each in results] == [
        (task_id, "k", "succeeded", {"a": 1})
    ]
    assert (last["reason"], last["totals"]["succeeded"]) == ("stop", 2)
    drain = last["drain"]
    assert (drain["reason"], drain["finishedTasks"], drain["cutTasks"]) == ("stop", 1, 0)
    assert 0 < drain["durationSeconds"] < PATIENCE_SECONDS


async def test_what_was_cut_is_handed_over_as_failed(begin: Begin, manager: FakeManager) -> None:
    """Nothing that was accepted is simply gone."""
    adapter = await begin("gated")
    for number in range(2):
        await adapter.execute({"n": number}, prefer="respond-async")
    await adapter.in_hand(1, 1)
    adapter.lifecycle.act("stop", 0)
    await adapter.ended()
    results, last = manager.said[-2][1]["results"], manager.said[-1][1]
    found = sorted((each["state"], each["problem"]["code"], each["problem"]["started"]) for each in results)
    assert found == [("failed", "drain-timeout", False), ("failed", "drain-timeout", True)]
    assert (last["drain"]["cutTasks"], last["totals"]["interrupted"]) == (2, 2)


async def test_large_results_are_handed_over_in_batches(begin: Begin, manager: FakeManager) -> None:
    """None is lost, and no message is endless."""
    adapter = await begin("large")
    ids = {(await adapter.execute({"characters": 3 << 20}, prefer="respond-async")).json()["taskId"] for _ in range(5)}
    await adapter.in_hand(0)
    adapter.lifecycle.act("stop")
    await adapter.ended()
    batches = [word["results"] for route, word in manager.said if route == "results"]
    assert len(batches) > 1
    assert {each["taskId"] for batch in batches for each in batch} == ids


async def test_a_manager_that_does_not_take_the_last_word_holds_nobody(begin: Begin, manager: FakeManager) -> None:
    """Its refusal is logged, the process goes."""
    adapter = await begin()
    manager.answers("results", (500, {}))
    manager.answers("unregister", (500, {}))
    await adapter.execute({}, prefer="respond-async")
    await adapter.in_hand(0)
    adapter.lifecycle.act("stop")
    assert await adapter.ended() is Ending.STOPPED


async def test_a_start_that_fails_is_said(begin: Begin, manager: FakeManager) -> None:
    """The manager forgets it at once; there was no drain, and the process ends with 1."""
    adapter = await begin("FailedStart", wait=False)
    assert await adapter.ended() is Ending.FAILED
    last = manager.said[-1]
    assert (last[0], last[1]["reason"], last[1]["drain"]) == ("unregister", "failed", None)


async def test_every_word_carries_the_first_token(begin: Begin, manager: FakeManager) -> None:
    """The others are accepted, never sent."""
    adapter = await begin(process={"MANAGER_TOKEN": "new,old"})
    adapter.lifecycle.act("stop")
    await adapter.ended()
    assert {headers["x-manager-token"] for headers in manager.headers} == {"new"}


async def test_each_address_of_the_name_is_a_manager_of_its_own(
    start: StartAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both hear all of it, and the first word of either is obeyed; one that is away holds nobody."""
    from agent_adapter import heartbeat

    async with managing() as first, managing() as second:
        second.answers("register", (200, orders("running")))
        addresses = [("127.0.0.1", manager.port) for manager in (first, second)] + [("127.0.0.1", 9)]
        monkeypatch.setattr(heartbeat, "resolve", lambda _: addresses)
        adapter = await start(process={"MANAGER_URL": "http://managers.test:8080"})
        for manager in (first, second):
            await manager.told("heartbeat", lambda beat: beat["status"] == "running")
        adapter.lifecycle.act("stop")
        await adapter.ended()
        for manager in (first, second):
            assert manager.routes()[-1] == "unregister"
            assert {headers["host"] for headers in manager.headers} == {"managers.test:8080"}
