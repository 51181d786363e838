"""What an instance tells its manager: that it is there, how it is, what finished, that it goes."""

import asyncio
import statistics
from typing import Any

import pytest
from agent_adapter.credentials import ManagerTokens
from agent_adapter.manager_link import ManagerLink
from agent_adapter.supervisor import Ending
from agent_contract import __version__

from tests.adapter.conftest import Begin, StartAdapter
from tests.adapter.fake_manager import FakeManager, managing, orders, problem
from tests.adapter.running_adapter import PATIENCE_SECONDS
from tests.adapter.sample_agents import Gate


async def test_it_registers_with_all_that_a_manager_shows(begin: Begin, manager: FakeManager) -> None:
    """Id, URL, instance, state, and what `/info` says as metadata."""
    adapter = await begin("typed", version="1.2", maxConcurrency=4)
    word = await manager.told("register", lambda word: "parametersSchema" in word["metadata"])
    info = (await adapter.client.get("/info")).json()
    assert (word["id"], word["instanceId"]) == ("sample", info["instanceId"])
    assert word["serviceUrl"] == f"http://127.0.0.1:{adapter.port}"
    metadata = word["metadata"]
    assert (metadata["version"], metadata["adapterVersion"], metadata["maxConcurrency"]) == ("1.2", __version__, 4)
    assert metadata["parametersSchema"]["required"] == ["text"]
    assert (await manager.told("register"))["status"] == "starting"


async def test_it_registers_as_soon_as_it_listens(begin: Begin, manager: FakeManager) -> None:
    """While its agent is still starting: the manager knows that it comes."""
    adapter = await begin("SlowStart", wait=False)
    assert (await manager.told("register"))["status"] == "starting"
    assert adapter.lifecycle.state == "starting"
    Gate.opened.set()
    await manager.told("heartbeat", lambda beat: beat["status"] == "running")


async def test_a_beat_says_how_it_is(begin: Begin, manager: FakeManager) -> None:
    """What runs and waits, and the counters since its start."""
    adapter = await begin("gated")
    calls = [await adapter.post({})]
    await adapter.in_hand(1)
    calls.append(await adapter.post({}))
    await adapter.in_hand(1, 1)
    beat = await manager.told("heartbeat", lambda beat: beat["queued"] == 1)
    assert (beat["running"], beat["current_task"], beat["drain"]) == (1, adapter.table.oldest_running, None)
    Gate.opened.set()
    for call in calls:
        await call.answer()
    beat = await manager.told("heartbeat", lambda beat: beat["totals"]["succeeded"] == 2)
    assert (beat["running"], beat["queued"], beat["current_task"]) == (0, 0, None)


async def test_the_manager_sets_the_pace(begin: Begin, manager: FakeManager) -> None:
    """Beats come at the interval that it answers, +-10 %, not at the configured one."""
    await begin(process={"HEARTBEAT_INTERVAL_SECONDS": "3600"})
    await manager.told("heartbeat", lambda _: manager.routes().count("heartbeat") >= 5)


async def test_a_change_of_state_is_told_at_once(begin: Begin, manager: FakeManager) -> None:
    """Not at the next beat, which is an hour away."""
    manager.usual = orders(interval=3600)
    adapter = await begin("gated")
    call = await adapter.post({})
    await adapter.in_hand(1)
    adapter.lifecycle.act("pause")
    await manager.told("heartbeat", lambda beat: beat["status"] == "paused")
    adapter.lifecycle.act("stop")
    beat = await manager.told("heartbeat", lambda beat: beat["status"] == "stopping")
    assert (beat["drain"]["reason"], len(beat["drain"]["blockers"])) == ("stop", 1)
    adapter.lifecycle.reschedule(500)
    await manager.told("heartbeat", lambda beat: (beat["drain"] or {}).get("remainingSeconds", 0) > 400)
    adapter.lifecycle.call_off()
    await manager.told("heartbeat", lambda beat: beat["status"] == "paused", since=len(manager.said) - 1)
    Gate.opened.set()
    await call.answer()


async def test_it_registers_again_where_it_is_not_known(begin: Begin, manager: FakeManager) -> None:
    """404 to a beat: the manager was restarted; it is told at once, and what it said before is sent back."""
    manager.answers("heartbeat", problem(404, "unknown-instance"))
    manager.answers("register", (200, orders("paused")))
    adapter = await begin()
    again = await manager.told("register", lambda word: word.get("desiredState") is not None)
    assert again["desiredState"] == "paused"
    assert adapter.lifecycle.state == "paused"


async def test_only_the_first_answer_can_pause(begin: Begin, manager: FakeManager) -> None:
    """A new process comes up paused where it is told so; nothing that a beat answers changes a state."""
    manager.answers("register", (200, orders("running")))
    manager.usual = orders("paused")
    adapter = await begin()
    await manager.told("heartbeat", lambda _: manager.routes().count("heartbeat") >= 3)
    assert adapter.lifecycle.state == "running"


async def test_it_never_runs_before_it_obeys_the_first_answer(begin: Begin, manager: FakeManager) -> None:
    """`starting`, then `paused`: nobody can slip a task in between."""
    manager.answers("register", (200, orders("paused")))
    adapter = await begin(wait=False)
    states: set[str] = set()

    def note() -> bool:
        states.add(adapter.lifecycle.state)
        return adapter.lifecycle.state != "starting"

    await adapter.until(note)
    assert states == {"starting", "paused"}


async def test_no_answer_resumes(begin: Begin, manager: FakeManager) -> None:
    """Who was paused at the instance stays so, whatever the manager thinks the agent is to be."""
    adapter = await begin()
    adapter.lifecycle.act("pause")
    count = manager.routes().count("heartbeat")
    await manager.told("heartbeat", lambda _: manager.routes().count("heartbeat") >= count + 3)
    assert adapter.lifecycle.state == "paused"


async def test_stale_once_takes_a_new_id(begin: Begin, manager: FakeManager) -> None:
    """409 `stale-instance`: it goes on under a new id."""
    manager.answers("heartbeat", problem(409, "stale-instance"))
    adapter = await begin()
    first = await manager.told("register")
    again = await manager.told("register", lambda word: word["instanceId"] != first["instanceId"])
    assert again["serviceUrl"] == first["serviceUrl"]
    assert (await adapter.client.get("/info")).json()["instanceId"] == again["instanceId"]
    assert adapter.lifecycle.state == "running"


async def test_stale_twice_leaves_with_an_error(begin: Begin, manager: FakeManager) -> None:
    """Another process has this address: it drains, and the exit code says that something is wrong."""
    adapter = await begin("gated")
    call = await adapter.post({})
    await adapter.in_hand(1)
    manager.answers("heartbeat", problem(409, "stale-instance"))
    manager.answers("register", problem(409, "stale-instance"))
    await adapter.until(lambda: adapter.lifecycle.state == "stopping")
    Gate.opened.set()
    assert (await call.answer())[0] == 200
    assert await adapter.ended() is Ending.FAILED
    assert adapter.instance.supervisor.failure is not None
    assert "another instance" in adapter.instance.supervisor.failure


@pytest.mark.parametrize(
    "trouble", [problem(409, "registration-conflict"), problem(403, "forbidden"), (500, {}), (200, ["?"]), (200, {})]
)
async def test_a_refusal_is_tried_again(begin: Begin, manager: FakeManager, trouble: tuple[int, Any]) -> None:
    """For as long as it lives, and it serves meanwhile."""
    manager.answers("register", trouble, trouble, trouble)
    adapter = await begin()
    assert adapter.lifecycle.state == "running"
    assert (await adapter.execute({"a": 1})).status_code == 200
    await manager.told("heartbeat")


async def test_it_comes_up_without_its_manager_and_finds_it_later(start: StartAdapter) -> None:
    """A refused connection is no reason to wait; retries find the manager when it is back."""
    async with managing() as gone:
        port = gone.port
    adapter = await start(process={"MANAGER_URL": f"http://127.0.0.1:{port}", "HEARTBEAT_INTERVAL_SECONDS": "0.1"})
    assert (await adapter.execute({"a": 1})).status_code == 200
    async with managing(port) as back:
        await back.told("heartbeat", lambda beat: beat["totals"]["succeeded"] == 1)


def unspoken(interval: float) -> ManagerLink:
    """Give a link that has said nothing yet."""
    return ManagerLink(
        "http://127.0.0.1:1",
        ("127.0.0.1", 1),
        None,  # type: ignore[arg-type]  # nothing is sent
        None,  # type: ignore[arg-type]  # never asked
        tokens=ManagerTokens("sample", ()),
        interval=interval,
        on_answer=lambda: None,
        on_orders=lambda _: None,
    )


async def test_a_manager_that_was_away_for_days_is_still_tried() -> None:
    """The wait between two tries is bounded, however many there were (2 ** 2000 is no float)."""
    link = unspoken(interval=0.01)
    for attempt in (1, 20, 2000, 10**6):
        await asyncio.wait_for(link._pause(attempt), PATIENCE_SECONDS)


async def test_a_manager_that_does_not_answer_is_asked_no_more_often_than_one_that_does() -> None:
    """It has too much to do, or hangs; one that refuses connections may be coming up, and is tried again soon."""
    link = unspoken(interval=5.0)
    assert link._pause_seconds(1) <= 0.5
    link._silent = True
    pauses = [link._pause_seconds(attempt) for attempt in range(1, 1001)]
    assert max(pauses) <= 5.0
    assert statistics.mean(pauses) + 2.0 > 4.0  # it was waited for 2 s before
    assert statistics.stdev(pauses) > 1.0  # a thousand instances do not come back at once


async def test_beats_share_a_connection(begin: Begin) -> None:
    """It outlives the pause between two of them, at the usual interval of 5 s."""
    adapter = await begin()
    assert adapter.instance._beats._idle_seconds > 2 * 5.0


async def test_a_silent_manager_delays_the_start_by_a_second(start: StartAdapter) -> None:
    """It is `starting` until the first registration was answered or failed, at most 1 s."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        began = asyncio.get_running_loop().time()
        adapter = await start(process={"MANAGER_URL": url})
        assert 0.9 < asyncio.get_running_loop().time() - began < 3
        assert adapter.lifecycle.state == "running"
        adapter.lifecycle.act("stop")
        began = asyncio.get_running_loop().time()
        await adapter.ended()
        assert asyncio.get_running_loop().time() - began < 1.5
