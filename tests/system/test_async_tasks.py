"""Tasks that nobody waits for on a connection: found anywhere, cancelled, finished or cut by a drain, never gone."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.system.accepted import accept, ids, reached
from tests.system.fleet import Fleet
from tests.system.plugged import start, start_command


async def marked(fleet: Fleet, marks: Path, *words: str) -> None:
    """Wait until the agent has marked exactly this."""

    def there() -> bool:
        return marks.exists() and marks.read_text().split() == list(words)

    await fleet.until(lambda: asyncio.to_thread(there), f"the agent marks {words}", seconds=5.0)


async def test_a_task_is_found_with_any_instance_from_202_to_its_result(crew: Fleet) -> None:
    """Two instances have three tasks each: every poll finds its task, also from a manager that was not asked before."""
    await asyncio.gather(*(start(crew, "polled", "work", name=name) for name in ("polled-1", "polled-2")))
    places = [await accept(crew, "polled", number=number, seconds=0.3) for number in range(6)]
    polls = [(await crew.client.get(place)) for place in places]
    waiting = [answer for answer in polls if answer.json()["state"] in ("queued", "running")]
    assert waiting
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in waiting)
    assert len({answer.headers["x-agent-instance"] for answer in polls}) == 2
    tasks = [await reached(crew, place, "succeeded") for place in places]
    assert [task["result"]["number"] for task in tasks] == list(range(6))
    assert all(task["retryAfter"] is None for task in tasks)
    unknown = await crew.client.get(f"{places[0][:-4]}0000")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-task")


async def test_all_tasks_are_listed_by_agent_and_state(crew: Fleet) -> None:
    """`/api/tasks` shows what runs, waits and ended, of every agent, with its progress and without results."""
    await asyncio.gather(start(crew, "listed-a", "work"), start(crew, "listed-b", "work"))
    done = await accept(crew, "listed-a", number=1)
    await reached(crew, done, "succeeded")
    running = await accept(crew, "listed-a", number=2, seconds=30)
    await reached(crew, running, "running")
    queued = await accept(crew, "listed-a", number=3)
    other = await accept(crew, "listed-b", number=4)
    await reached(crew, other, "succeeded")

    async def listed(**query: str) -> list[dict[str, Any]]:
        tasks: list[dict[str, Any]] = (await crew.client.get("/api/tasks", params=query)).json()["tasks"]
        assert all("result" not in task for task in tasks)
        return tasks

    names = [place.rpartition("/")[2] for place in (done, running, queued, other)]
    assert ids(await listed()) >= set(names)
    assert ids(await listed(agent="listed-a")) == set(names[:3])
    assert ids(await listed(agent="listed-b")) == {names[3]}
    for name, state in zip(names, ("succeeded", "running", "queued"), strict=False):
        assert ids(await listed(agent="listed-a", state=state)) == {name}
    (shown,) = await listed(agent="listed-a", state="running")
    assert shown["progress"] == {"fraction": 0.25, "message": "number 2"}
    assert shown["agent"] == "listed-a"
    drain = (await crew.client.get("/api/agent-services/listed-a/drain")).json()["instances"][0]
    assert [blocker["progress"] for blocker in drain["blockers"]] == [shown["progress"], None]
    for place, began in ((queued, False), (running, True)):
        await crew.client.delete(place)
        assert (await reached(crew, place, "cancelled"))["problem"]["started"] is began


@pytest.mark.parametrize("made_of", ["coroutine", "thread", "command", "isolated"])
async def test_deleting_a_task_reaches_the_code_that_works_on_it(crew: Fleet, tmp_path: Path, made_of: str) -> None:
    """Async code is cancelled, a thread sees `context.cancelled`, another process gets a message."""
    agent, marks = f"cancelled-{made_of}", tmp_path / "marks"
    if made_of == "command":
        await start_command(crew, agent)
    else:
        isolation = "process" if made_of == "isolated" else "thread"
        await start(crew, agent, "watch" if made_of == "thread" else "work", AGENT_ISOLATION=isolation)
    place = await accept(crew, agent, seconds=60, marks=str(marks))
    await marked(crew, marks, "began")
    assert (await crew.client.delete(place)).status_code == 202
    task = await reached(crew, place, "cancelled")
    assert task["problem"] | {"code": "agent-cancelled", "started": True, "outcome": "cancelled"} == task["problem"]
    await marked(crew, marks, "began", "cancelled")
    again = await crew.client.delete(place)
    assert (again.status_code, again.json()["code"]) == (409, "already-ended")


@pytest.mark.skipif(os.environ.get("TEST_PROFILE") != "full", reason="waits 5 s for a child: TEST_PROFILE=full")
async def test_a_command_that_ignores_the_message_gets_a_signal(crew: Fleet) -> None:
    """Its caller is told at once; the next call meets a new process, and is not lost with the old one."""
    await start_command(crew, "deaf", AGENT_MAX_CONCURRENCY="2")
    place = await accept(crew, "deaf", deaf=True)
    await reached(crew, place, "running")
    assert (await crew.client.delete(place)).status_code == 202
    assert (await reached(crew, place, "cancelled"))["problem"]["code"] == "agent-cancelled"
    async with asyncio.timeout(8):
        answer = await crew.execute("deaf", number=1)
    assert (answer.status_code, answer.json()["result"]) == (200, {"number": 1})


async def test_a_stop_lets_queued_tasks_finish_and_their_results_outlive_the_instance(crew: Fleet) -> None:
    """What was answered with 202 is work in hand: it holds the drain until its result was stored."""
    await start(crew, "stopped", "work")
    places = [await accept(crew, "stopped", number=number, seconds=0 if number else 1) for number in range(3)]
    assert (await crew.act("stopped", "stop")).status_code == 202
    drain = (await crew.client.get("/api/agent-services/stopped/drain")).json()["instances"][0]
    assert {blocker["taskId"] for blocker in drain["blockers"]} == {place.rpartition("/")[2] for place in places}
    assert not drain["safeToDelete"]
    assert await crew.exit_code("stopped") == 0
    tasks = [(await crew.client.get(place)).json() for place in places]
    assert [(task["state"], task["result"]["number"]) for task in tasks] == [("succeeded", n) for n in range(3)]
    listed = (await crew.client.get("/api/tasks", params={"agent": "stopped"})).json()["tasks"]
    assert ids(listed) == ids(tasks)


async def test_what_the_deadline_cuts_has_failed_and_is_never_gone(crew: Fleet) -> None:
    """The running one was interrupted, the queued one did not begin; both are told from each other after the exit."""
    await start(crew, "cut", "work", DRAIN_TIMEOUT_SECONDS="0.5")
    running, queued = [await accept(crew, "cut", number=number, seconds=60) for number in range(2)]
    await reached(crew, running, "running")
    crew.signal("cut", signal.SIGTERM)
    assert await crew.exit_code("cut") == 0
    answers: list[httpx.Response] = [await crew.client.get(place) for place in (running, queued)]
    assert [answer.json()["state"] for answer in answers] == ["failed", "failed"]
    first, second = (answer.json()["problem"] for answer in answers)
    assert first | {"code": "drain-timeout", "started": True, "outcome": "interrupted"} == first
    assert second | {"code": "drain-timeout", "started": False} == second
    assert "outcome" not in second
