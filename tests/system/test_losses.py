"""What is lost when a process is killed: nothing but the calls in it, and those are told at once."""

import asyncio
import signal
import time
from pathlib import Path

import httpx

from tests.system.fleet import Fleet, problem


async def test_killing_an_adapter_gives_its_caller_a_definite_answer_within_two_seconds(fleet: Fleet) -> None:
    """The outcome is unknown and said so, and the listing is right within the TTL and a second."""
    await fleet.start_agent("one", "worker")
    calling = asyncio.create_task(fleet.execute("worker", seconds=60))

    async def running() -> bool:
        status = (await fleet.client.get("/api/agent-services/worker/status")).json()
        return status["instances"][0]["current_task"] is not None

    await fleet.until(running, "the task runs")
    killed = time.monotonic()
    fleet.signal("one", signal.SIGKILL)
    answer = await calling
    assert time.monotonic() - killed < 2
    assert answer.status_code == 502
    assert problem(answer) | {"code": "outcome-unknown", "outcome": "unknown"} == problem(answer)
    assert problem(answer)["taskId"] == answer.headers["x-task-id"]

    async def gone() -> bool:
        return await fleet.instances("worker") == []

    await fleet.until(gone, "the listing is right", seconds=4.0)


async def test_other_calls_go_on_when_one_of_two_instances_is_killed(fleet: Fleet) -> None:
    """Every call but those in the killed process succeeds."""
    await fleet.start_agent("one", "worker", AGENT_MAX_CONCURRENCY="8")
    await fleet.start_agent("two", "worker", AGENT_MAX_CONCURRENCY="8")
    stop = asyncio.Event()
    answers: list[httpx.Response] = []

    async def load() -> None:
        while not stop.is_set():
            answers.append(await fleet.execute("worker", seconds=0.02))

    callers = [asyncio.create_task(load()) for _ in range(6)]
    await asyncio.sleep(0.5)
    fleet.signal("one", signal.SIGKILL)
    await asyncio.sleep(1.5)
    stop.set()
    await asyncio.gather(*callers)
    failed = [answer for answer in answers if answer.status_code != 200]
    assert len(answers) > 100
    assert len(failed) <= 6
    assert all(problem(answer)["outcome"] == "unknown" for answer in failed)


async def test_a_killed_manager_finds_everyone_again_and_purges_nobody(fleet: Fleet) -> None:
    """After a new start all agents are listed within a beat, under the ids that they had."""
    for name in ("one", "two"):
        await fleet.start_agent(name, "worker")
    await fleet.start_agent("three", "other")
    before = {one["instanceId"] for agent in ("worker", "other") for one in await fleet.instances(agent)}
    fleet.signal("manager", signal.SIGKILL)
    await fleet.exit_code("manager")
    await fleet.start_manager()

    async def all_back() -> bool:
        now = {one["instanceId"] for agent in ("worker", "other") for one in await fleet.instances(agent)}
        return now == before

    await fleet.until(all_back, "all are listed", seconds=2.5)
    assert (await fleet.execute("worker", number=1)).status_code == 200


async def test_work_outlives_a_killed_manager_and_its_result_can_be_fetched(fleet: Fleet, tmp_path: Path) -> None:
    """The agent finishes once, and the task's id finds its result after the manager's new start."""
    marks = tmp_path / "marks"
    await fleet.start_agent("one", "worker")
    accepted = await fleet.execute("worker", {"Prefer": "respond-async"}, seconds=1, number=7, marks=str(marks))
    assert accepted.status_code == 202
    fleet.signal("manager", signal.SIGKILL)
    await fleet.exit_code("manager")
    await fleet.start_manager()

    async def done() -> bool:
        answer = await fleet.client.get(accepted.headers["location"])
        return answer.status_code == 200 and answer.json()["state"] == "succeeded"

    await fleet.until(done, "the result can be fetched")
    assert marks.read_text() == "7\n"


async def test_a_suspended_adapter_is_not_called_and_comes_back(fleet: Fleet) -> None:
    """A stopped process is unreachable and still listed; once it goes on it is called again."""
    await fleet.start_agent("one", "worker")
    fleet.signal("one", signal.SIGSTOP)

    async def unreachable() -> bool:
        return [one["reachable"] for one in await fleet.instances("worker")] == [False]

    await fleet.until(unreachable, "it is unreachable")
    fleet.signal("one", signal.SIGCONT)

    async def back() -> bool:
        return (await fleet.execute("worker", number=1)).status_code == 200

    await fleet.until(back, "it is called again")
