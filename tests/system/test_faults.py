"""Faults under a steady load through the manager; each story ends with a balanced ledger."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from agent_contract.sse import EventParser

from tests.system.fleet import Fleet, problem
from tests.system.ledger import Ledger, outcome
from tests.system.plugged import start, start_command
from tests.system.tap import Tap

HOLD_SECONDS = 10.0 if os.environ.get("TEST_PROFILE") == "full" else 4.0
"""How long an agent holds its interpreter: over the 3 s after which a silent instance is dropped."""
ROOM = {"AGENT_MAX_CONCURRENCY": "32", "AGENT_MAX_QUEUE": "256"}
SEED = 25


@pytest.fixture
async def tap(crew: Fleet) -> AsyncIterator[Tap]:
    """Give a tap before the manager."""
    async with Tap(crew.manager_port) as tapped:
        yield tapped


async def runs(fleet: Fleet, port: int, tasks: int) -> None:
    """Wait until so many tasks at least run at an adapter."""

    async def there() -> bool:
        return len((await fleet.client.get(f"http://127.0.0.1:{port}/status")).json()["tasks"]) >= tasks

    await fleet.until(there, f"{tasks} tasks run")


async def drain_event(fleet: Fleet, agent: str) -> dict[str, Any]:
    """Give what the manager's journal says of the drain of an instance of this agent."""
    parser = EventParser()
    async with (
        asyncio.timeout(5),
        fleet.client.stream("GET", "/api/events", headers={"Last-Event-ID": "another-life"}) as answer,
    ):
        async for piece in answer.aiter_raw():
            for event in parser.feed(piece):
                said: dict[str, Any] = msgspec.json.decode(event.data)
                if event.event == "drain" and said["agent"] == agent:
                    return said
    raise AssertionError(f"no drain of {agent} is in the journal")


def ended(answers: list[httpx.Response]) -> list[str]:
    """Give what became of each call."""
    return [outcome(answer) for answer in answers]


async def test_f1_a_signal_lets_three_tasks_finish_and_refuses_new_ones(crew: Fleet, tmp_path: Path, tap: Tap) -> None:
    """Tasks of 1, 3 and 5 s end by themselves, the listing says stopping, exit code 0; the load does not notice."""
    port = await start(crew, "f1", "work", name="f1-leaving", MANAGER_URL=tap.url, **ROOM)
    await start(crew, "f1", "work", name="f1-staying", MANAGER_URL=tap.url, **ROOM)
    ledger = Ledger(crew, "f1", tmp_path / "book", tap)
    long: list[int] = []
    direct: list[int] = []

    async def story() -> None:
        calls = [asyncio.create_task(ledger.call(port, seconds=seconds)) for seconds in (1, 3, 5)]
        await runs(crew, port, 3)
        crew.signal("f1-leaving", signal.SIGTERM)

        async def stopping() -> bool:
            return sorted(one["state"] for one in await crew.instances("f1")) == ["running", "stopping"]

        await crew.until(stopping, "the listing says stopping", seconds=1.0)
        direct.extend([await ledger.call(port) for _ in range(3)])
        long.extend(await asyncio.gather(*calls))
        assert await crew.exit_code("f1-leaving") == 0

    await ledger.under_load(story, lambda: ledger.call(seconds=0.02))
    refused = [ledger.answers[number] for number in direct]
    assert [(answer.status_code, problem(answer)["code"]) for answer in refused] == [(409, "stopping")] * 3
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert ended([ledger.answers[number] for number in long]) == ["succeeded"] * 3
    told = await ledger.balance()
    assert set(told) == {"succeeded", "refused"}
    assert told["refused"] == 3
    event = await drain_event(crew, "f1")
    assert event["code"] == "clean"
    assert "0 were cut" in event["message"]


async def test_f5_the_agents_own_process_dies_and_is_back(crew: Fleet, tmp_path: Path, tap: Tap) -> None:
    """Its tasks fail, the adapter lives, the process is started again with backoff, and no call hangs."""
    port = await start_command(crew, "f5", MANAGER_URL=tap.url, **ROOM)
    ledger = Ledger(crew, "f5", tmp_path / "book", tap)
    deadly: list[int] = []
    back_after: list[float] = []

    async def story() -> None:
        for _ in range(2):
            deadly.append(await ledger.call(die=True))
            died = time.monotonic()
            assert ended([ledger.answers[await ledger.call()]]) == ["succeeded"]
            back_after.append(time.monotonic() - died)

    await ledger.under_load(story, lambda: ledger.call(seconds=0.02))
    for number in deadly:
        said = problem(ledger.answers[number])
        assert (said["status"], said["code"], said["started"]) == (500, "agent-crashed", True)
    assert max(back_after) < 5
    told = await ledger.balance()
    assert set(told) == {"succeeded", "failed"}
    assert told["failed"] >= 2
    page = (await crew.client.get(f"http://127.0.0.1:{port}/metrics")).text
    assert "agent_child_restarts_total 2.0" in page
    assert crew.processes["f5"].poll() is None


async def test_f8_what_outlasts_the_drain_is_cut_and_told_so(crew: Fleet, tmp_path: Path, tap: Tap) -> None:
    """Its caller gets 503 before the connection ends, and the process leaves by itself, in time; one was cancelled."""
    settings = {"MANAGER_URL": tap.url, "DRAIN_TIMEOUT_SECONDS": "1", **ROOM}
    port = await start(crew, "f8", "work", name="f8-leaving", **settings)
    await start(crew, "f8", "work", name="f8-staying", **settings)
    ledger = Ledger(crew, "f8", tmp_path / "book", tap)
    long: list[int] = []

    async def story() -> None:
        calls = [asyncio.create_task(ledger.call(port, seconds=60)) for _ in range(3)]
        await runs(crew, port, 3)
        signalled = time.monotonic()
        crew.signal("f8-leaving", signal.SIGTERM)
        oldest = (await crew.client.get(f"http://127.0.0.1:{port}/status")).json()["current_task"]
        assert (await crew.client.delete(f"/api/agent-services/f8/tasks/{oldest}")).status_code == 202
        long.extend(await asyncio.gather(*calls))
        assert 1 <= time.monotonic() - signalled < 3
        assert await crew.exit_code("f8-leaving") == 0
        assert time.monotonic() - signalled < 1 + 2 + 0.5

    await ledger.under_load(story, lambda: ledger.call(seconds=0.02))
    assert sorted(ended([ledger.answers[number] for number in long])) == ["cancelled", "interrupted", "interrupted"]
    for said in (problem(ledger.answers[number]) for number in long):
        code = {"cancelled": "agent-cancelled", "interrupted": "drain-timeout"}[said["outcome"]]
        assert (said["code"], said["started"]) == (code, True)
    told = await ledger.balance()
    assert set(told) == {"succeeded", "interrupted", "cancelled"}
    (report,) = [said["drain"] for said in tap.posted("/api/agent-services/unregister")]
    assert report["cutTasks"] == 2
    event = await drain_event(crew, "f8")
    assert event["code"] == "cut"
    assert "2 were cut" in event["message"]


async def test_f25_lost_answers_are_unknown_and_nothing_is_repeated(crew: Fleet, tmp_path: Path, tap: Tap) -> None:
    """One in ten answers is lost: without a key its outcome is unknown, with one the caller gets it by asking again."""
    chance = random.Random(SEED)  # noqa: S311  # a fixed fate
    port = await start(crew, "f25", "work", MANAGER_URL=tap.url, **ROOM)
    async with Tap(port, lambda: chance.random() < 0.1) as line:
        crew.end_agents()
        settings = {"MANAGER_URL": tap.url, "AGENT_PORT": str(port), "AGENT_SERVICE_URL": line.url}
        await start(crew, "f25", "work", **settings, **ROOM)
        tap.forget()
        ledger = Ledger(crew, "f25", tmp_path / "book", tap)
        keyed: list[int] = []

        async def call() -> None:
            if chance.random() < 0.5:
                await ledger.call(seconds=0.02)
            else:
                key = f"order-{chance.getrandbits(64)}"
                keyed.append(await ledger.call(None, {"Idempotency-Key": key}, seconds=0.02))

        async def story() -> None:
            async def enough() -> bool:
                return line.lost >= 10

            await crew.until(enough, "ten answers were lost")

        await ledger.under_load(story, call)
        told = await ledger.balance()
        assert set(told) == {"succeeded", "unknown"}
        assert 0 < told["unknown"] < line.lost
        assert set(ended([ledger.answers[number] for number in keyed])) == {"succeeded"}


async def test_f28_an_isolated_agent_that_blocks_stops_nothing_else(crew: Fleet, tmp_path: Path, tap: Tap) -> None:
    """While agent code holds its interpreter the adapter answers, beats, and is neither dropped nor suspected."""
    port = await start(crew, "f28", "hold", AGENT_ISOLATION="process", MANAGER_URL=tap.url, **ROOM)
    ledger = Ledger(crew, "f28", tmp_path / "book", tap)
    (before,) = await crew.instances("f28")
    slowest = {"/health": 0.0, "/status": 0.0}

    async def story() -> None:
        holding = asyncio.create_task(ledger.call(seconds=HOLD_SECONDS))
        while not holding.done():
            for route, longest in slowest.items():
                began = time.monotonic()
                assert (await crew.client.get(f"http://127.0.0.1:{port}{route}")).status_code == 200
                slowest[route] = max(longest, time.monotonic() - began)
            (now,) = await crew.instances("f28")
            assert (now["instanceId"], now["reachable"], now["state"]) == (before["instanceId"], True, "running")
            await asyncio.wait([holding], timeout=0.1)

    await ledger.under_load(story, ledger.call, per_second=20)
    assert max(slowest.values()) < 1, slowest
    told = await ledger.balance()
    assert set(told) == {"succeeded"}
    assert tap.posted("/api/agent-services/unregister") == []
    (after,) = await crew.instances("f28")
    assert after["registeredAt"] == before["registeredAt"]
