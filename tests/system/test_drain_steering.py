"""A drain is seen and steered through the manager and with `agentctl`: what holds it, until when, and what then."""

import asyncio
import re
import signal
from pathlib import Path
from typing import Any

import httpx

from tests.agentctl.command import agentctl, running
from tests.system.accepted import accept, reached
from tests.system.fleet import Fleet, problem
from tests.system.plugged import start

LONG_SECONDS = 60
GRACE_SECONDS = 20
LEAVING_SECONDS = 3


async def drains(fleet: Fleet, agent: str, **query: str) -> dict[str, dict[str, Any]]:
    """Give what holds each instance, by its id."""
    answer = await fleet.client.get(f"/api/agent-services/{agent}/drain", params=query)
    assert answer.status_code == 200, answer.text
    return {one["instanceId"]: one for one in answer.json()["instances"]}


async def steer(fleet: Fleet, agent: str, seconds: float | None, **query: str) -> httpx.Response:
    """Move the deadline to so many seconds from now, or, with None, call the drain off."""
    path = f"/api/agent-services/{agent}/drain"
    if seconds is None:
        return await fleet.client.delete(path, params=query)
    return await fleet.client.patch(path, params=query, json={"timeoutSeconds": seconds})


def steered(answer: httpx.Response) -> dict[str, dict[str, Any] | None]:
    """Give the drains of an answer to steering, by instance."""
    assert answer.status_code == 200, answer.text
    return {one["instanceId"]: one["drain"] for one in answer.json()["instances"]}


async def control(fleet: Fleet, *arguments: str) -> str:
    """Give what `agentctl` prints; it must succeed."""
    done = await asyncio.to_thread(agentctl, *arguments, manager=fleet.manager_url)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def states(fleet: Fleet, agent: str) -> list[str]:
    """Give the states of the listed instances."""
    return [one["state"] for one in await fleet.instances(agent)]


async def test_the_drains_of_one_or_all_instances_are_seen_moved_and_called_off(crew: Fleet) -> None:
    """Each member of the drain tells the truth, and only those that are meant are steered."""
    await asyncio.gather(*(start(crew, "glass", "work", name=f"glass-{number}") for number in range(2)))
    assert [one["safeToDelete"] for one in (await drains(crew, "glass")).values()] == [True, True]
    tasks = [await accept(crew, "glass", number=number, seconds=LONG_SECONDS) for number in range(2)]
    for drain in (await drains(crew, "glass")).values():
        assert (drain["reason"], drain["safeToDelete"]) == (None, False)
    assert problem(await steer(crew, "glass", 5))["code"] == "not-draining"
    assert (await steer(crew, "glass", None)).status_code == 409

    assert (await crew.act("glass", "stop", timeoutSeconds=40)).status_code == 202
    seen = await drains(crew, "glass")
    one, other = seen
    assert {drain["reason"] for drain in seen.values()} == {"stop"}
    assert all(30 < drain["remainingSeconds"] <= 40 and not drain["safeToDelete"] for drain in seen.values())
    held = {blocker["taskId"] for drain in seen.values() for blocker in drain["blockers"]}
    assert held == {task.rpartition("/")[2] for task in tasks}
    assert list(await drains(crew, "glass", instanceId=one)) == [one]

    moved = steered(await steer(crew, "glass", 100, instanceId=one))
    assert list(moved) == [one]
    assert 90 < (await drains(crew, "glass"))[one]["remainingSeconds"] <= 100
    assert (await drains(crew, "glass"))[other]["remainingSeconds"] <= 40
    assert set(steered(await steer(crew, "glass", 20))) == {one, other}
    assert all(drain["remainingSeconds"] <= 20 for drain in (await drains(crew, "glass")).values())

    assert list(steered(await steer(crew, "glass", None, instanceId=one))) == [one]
    assert sorted(await states(crew, "glass")) == ["running", "stopping"]
    assert list(steered(await steer(crew, "glass", None))) == [other]
    assert await states(crew, "glass") == ["running", "running"]
    assert problem(await steer(crew, "glass", None))["code"] == "not-draining"
    assert problem(await steer(crew, "glass", 5, instanceId="nobody"))["code"] == "unknown-instance"
    for task in tasks:
        assert (await crew.client.delete(task)).status_code == 202
    assert all(drain["safeToDelete"] for drain in (await drains(crew, "glass")).values())


async def test_cancelling_its_one_blocker_ends_a_drain(crew: Fleet) -> None:
    """The caller is told that somebody cancelled it, and the instance leaves in order long before its deadline."""
    await start(crew, "freed", "work")
    calling = asyncio.create_task(crew.execute("freed", seconds=LONG_SECONDS))

    async def held() -> bool:
        return any(drain["blockers"] for drain in (await drains(crew, "freed")).values())

    await crew.until(held, "the task runs")
    await crew.act("freed", "stop", timeoutSeconds=LONG_SECONDS)
    ((blocker,),) = [drain["blockers"] for drain in (await drains(crew, "freed")).values()]
    cancelled = await crew.client.delete(f"/api/agent-services/freed/tasks/{blocker['taskId']}")
    assert cancelled.status_code == 202
    assert problem(await calling)["code"] == "agent-cancelled"
    assert await crew.exit_code("freed") == 0


async def test_a_drain_that_a_signal_ordered_is_bounded_by_the_platform(crew: Fleet) -> None:
    """It cannot be called off, nor outlast what the platform grants; within that it can be moved."""
    await start(crew, "bounded", "work", TERMINATION_GRACE_SECONDS=str(GRACE_SECONDS), DRAIN_TIMEOUT_SECONDS="5")
    task = await accept(crew, "bounded", seconds=LONG_SECONDS)
    crew.signal("bounded", signal.SIGTERM)

    async def draining() -> bool:
        return [drain["reason"] for drain in (await drains(crew, "bounded")).values()] == ["signal"]

    await crew.until(draining, "it drains")
    over = await steer(crew, "bounded", LONG_SECONDS)
    assert (over.status_code, problem(over)["code"]) == (409, "over-grace")
    most = problem(over)["maxTimeoutSeconds"]
    assert 5 < most <= GRACE_SECONDS - LEAVING_SECONDS
    signalled = await steer(crew, "bounded", None)
    assert (signalled.status_code, problem(signalled)["code"]) == (409, "signalled")
    (moved,) = steered(await steer(crew, "bounded", most - 4)).values()
    assert moved is not None
    assert 5 < moved["remainingSeconds"] < most - 3.9
    assert (await crew.client.delete(task)).status_code == 202
    assert await crew.exit_code("bounded") == 0


async def test_a_drain_is_watched_in_a_terminal_extended_cut_by_one_and_called_off(crew: Fleet) -> None:
    """Four tasks of different ages, a live table of them, and the three orders that an operator has."""
    await start(crew, "watched", "work", AGENT_MAX_CONCURRENCY="4")
    ids = []
    for number in range(4):
        place = await accept(crew, "watched", number=number, seconds=LONG_SECONDS)
        await reached(crew, place, "running")
        ids.append(place.rpartition("/")[2])
    await crew.act("watched", "stop", timeoutSeconds=30)
    ages = [
        blocker["ageSeconds"] for drain in (await drains(crew, "watched")).values() for blocker in drain["blockers"]
    ]
    assert ages == sorted(ages, reverse=True)
    assert len(set(ages)) == 4

    watch = ("get", "drain", "watched", "-w")
    with running(*watch, manager=crew.manager_url, terminal=True, variables={"COLUMNS": "80"}) as table:
        text = await asyncio.to_thread(table.until, "watched: 1 of 1 draining, 4 in hand")
        text = await asyncio.to_thread(table.until, ids[3])
        assert all(task_id in text for task_id in ids)
        assert "25% number 3" in text

        said = await control(crew, "drain", "watched", "--extend", "5m")
        assert re.search(r"drain ends by \d\d:\d\d:\d\dZ, (5m|4m5\ds)", said), said
        await asyncio.to_thread(table.until, "4m5")

        said = await control(crew, "drain", "watched", "--cancel", ids[1])
        assert said == f"watched: task {ids[1]} cancelled\n"
        await asyncio.to_thread(table.until, "watched: 1 of 1 draining, 3 in hand")

        said = await control(crew, "drain", "watched", "--abort")
        assert said.endswith(": drain called off\n")
        text = await asyncio.to_thread(table.until, "watched: 0 of 1 draining, 3 in hand")
        last = text.rpartition("watched: ")[2]
        assert [task_id in last for task_id in ids] == [True, False, True, True]
    assert await states(crew, "watched") == ["running"]
    assert (await reached(crew, f"/api/agent-services/watched/tasks/{ids[1]}", "cancelled"))["problem"]["started"]


async def test_cancelled_interrupted_and_unknown_are_three_different_answers(crew: Fleet, tmp_path: Path) -> None:
    """Each body says what its caller may rely on: it was stopped on purpose, it was cut, or nobody can tell."""
    agents = {"ended-cancelled": "agent-cancelled", "ended-cut": "drain-timeout", "ended-lost": "outcome-unknown"}
    await asyncio.gather(*(start(crew, agent, "work") for agent in agents))
    marks = {agent: tmp_path / agent for agent in agents}
    calls = [
        asyncio.create_task(crew.execute(agent, seconds=LONG_SECONDS, marks=str(marks[agent]))) for agent in agents
    ]

    async def all_began() -> bool:
        return all(path.exists() for path in marks.values())

    await crew.until(all_began, "all three run")
    (task,) = (await crew.client.get("/api/tasks?agent=ended-cancelled")).json()["tasks"]
    await crew.client.delete(f"/api/agent-services/ended-cancelled/tasks/{task['taskId']}")
    await crew.act("ended-cut", "stop", timeoutSeconds=0.1)
    crew.signal("ended-lost", signal.SIGKILL)
    answers = await asyncio.gather(*calls)
    problems = [problem(answer) for answer in answers]
    assert [answer.status_code for answer in answers] == [409, 503, 502]
    assert [one["code"] for one in problems] == list(agents.values())
    assert [one["outcome"] for one in problems] == ["cancelled", "interrupted", "unknown"]
    assert [one.get("started") for one in problems] == [True, True, None]
    assert problems[2]["taskId"] == answers[2].headers["x-task-id"]
    assert all("x-agent-refused" not in answer.headers for answer in answers)
