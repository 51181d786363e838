"""What ran under an idempotency key does not run twice, whoever was killed meanwhile, and whoever left."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.system.fleet import Fleet, problem
from tests.system.plugged import start
from tests.system.tap import Tap


class Keyed:
    """Calls of one agent under one key; each execution leaves a mark."""

    def __init__(self, fleet: Fleet, agent: str, marks: Path) -> None:
        self._fleet = fleet
        self._agent = agent
        self._marks = marks

    async def call(self, key: str = "order-1", **parameters: object) -> httpx.Response:
        """Call with the key; what is not said otherwise is the same each time."""
        body = {"number": 7, "marks": str(self._marks), **parameters}
        return await self._fleet.execute(self._agent, {"Idempotency-Key": key}, **body)

    @property
    def executions(self) -> int:
        """How often the agent began."""
        return self._marks.read_text().split().count("began") if self._marks.exists() else 0

    async def began(self) -> None:
        """Wait until the agent has begun."""
        begun: Any = lambda: asyncio.to_thread(lambda: self.executions > 0)  # noqa: E731  # named for the reader
        await self._fleet.until(begun, "the agent begins")


def pair(answer: httpx.Response) -> tuple[str, str]:
    """Give which task an answer is of, and which instance has it."""
    return answer.headers["x-task-id"], answer.headers["x-agent-instance"]


async def start_two(fleet: Fleet, agent: str, **settings: str) -> list[str]:
    """Start two instances of the agent and give their names."""
    names = [f"{agent}-1", f"{agent}-2"]
    await asyncio.gather(*(start(fleet, agent, "work", name=name, **settings) for name in names))
    return names


async def name_of(fleet: Fleet, names: list[str], instance_id: str) -> str:
    """Give which of the processes an instance is."""
    listed = [one["instanceId"] for agent in (await fleet.listing()).values() for one in agent["instances"]]
    assert instance_id in listed
    for name in names:
        log = (fleet.directory / f"{name}.log").read_text()
        if instance_id in log:
            return name
    raise AssertionError(f"no log names instance {instance_id}")


async def test_a_key_gives_the_first_result_again(crew: Fleet, tmp_path: Path) -> None:
    """Ten repetitions, two instances: one execution, and each answer is the first one, its task's id too."""
    await start_two(crew, "again")
    keyed = Keyed(crew, "again", tmp_path / "marks")
    first = await keyed.call()
    repeated = await asyncio.gather(*(keyed.call() for _ in range(10)))
    assert first.status_code == 200
    assert [(pair(one), one.json()) for one in repeated] == [(pair(first), first.json())] * 10
    assert keyed.executions == 1


async def test_a_key_in_use_and_a_key_reused_are_told(crew: Fleet, tmp_path: Path) -> None:
    """While the first call runs the second is a conflict with that task's id; another body is the caller's mistake."""
    await start_two(crew, "used")
    keyed = Keyed(crew, "used", tmp_path / "marks")
    running = asyncio.create_task(keyed.call(seconds=1))
    await keyed.began()
    in_use, reused = await keyed.call(seconds=1), await keyed.call(seconds=2)
    assert (in_use.status_code, problem(in_use)["code"]) == (409, "key-in-use")
    assert in_use.headers["retry-after"] == "1"
    assert (reused.status_code, problem(reused)["code"]) == (422, "key-reused")
    assert problem(reused)["field"] == "Idempotency-Key"
    first = await running
    assert problem(in_use)["taskId"] == first.headers["x-task-id"]
    assert problem(await keyed.call(seconds=2))["code"] == "key-reused"
    assert keyed.executions == 1


async def test_a_key_runs_once_though_the_manager_was_killed_in_the_middle(fleet: Fleet, tmp_path: Path) -> None:
    """The new manager remembers nothing and asks the instances: the repeated call gets the one execution's result."""
    await start_two(fleet, "worker")
    keyed = Keyed(fleet, "worker", tmp_path / "marks")
    cut_off = asyncio.create_task(keyed.call(seconds=2))
    await keyed.began()
    fleet.signal("manager", signal.SIGKILL)
    with pytest.raises(httpx.TransportError):
        await cut_off
    await fleet.exit_code("manager")
    await fleet.start_manager()
    answers: list[httpx.Response] = []

    async def answered() -> bool:
        answers.append(await keyed.call(seconds=2))
        return answers[-1].status_code == 200

    await fleet.until(answered, "the repeated call succeeds")
    assert {problem(one)["code"] for one in answers[:-1]} <= {"key-in-use"}
    assert answers[-1].json()["result"] == {"number": 7}
    assert keyed.executions == 1


async def test_an_instance_that_left_in_order_leaves_its_key_behind(crew: Fleet, tmp_path: Path) -> None:
    """The result that it handed over is given, though the other instance is there and knows nothing of the key."""
    names = await start_two(crew, "heir")
    keyed = Keyed(crew, "heir", tmp_path / "marks")
    first = await keyed.call()
    leaving = await name_of(crew, names, first.headers["x-agent-instance"])
    crew.signal(leaving, signal.SIGTERM)
    assert await crew.exit_code(leaving) == 0
    again = await keyed.call()
    assert (again.status_code, pair(again)) == (200, pair(first))
    assert again.json()["result"] == first.json()["result"]
    assert problem(await keyed.call(number=8))["code"] == "key-reused"
    assert keyed.executions == 1


async def test_a_key_of_a_lost_instance_is_unknown_once_and_then_runs_anew(crew: Fleet, tmp_path: Path) -> None:
    """Nobody can tell what the dead process did: the caller is told so, and decides."""
    names = await start_two(crew, "widow")
    keyed = Keyed(crew, "widow", tmp_path / "marks")
    first = await keyed.call()
    killed = await name_of(crew, names, first.headers["x-agent-instance"])
    crew.signal(killed, signal.SIGKILL)
    unknown = await keyed.call()
    assert unknown.status_code == 502
    assert problem(unknown) | {"code": "outcome-unknown", "outcome": "unknown"} == problem(unknown)
    assert problem(unknown)["taskId"] == first.headers["x-task-id"]
    assert keyed.executions == 1
    anew = await keyed.call()
    assert anew.status_code == 200
    assert pair(anew)[1] != pair(first)[1]
    assert keyed.executions == 2


async def test_an_answer_that_is_lost_is_unknown_and_its_key_finds_the_one_execution(
    crew: Fleet, tmp_path: Path
) -> None:
    """F25: the agent did its work and the line broke: without a key nothing is repeated, with one it is found."""
    fates: Iterator[bool] = iter([True, True])
    port = await start(crew, "unheard", "work", name="unheard-direct")
    async with Tap(port, lambda: next(fates, False)) as tap:
        crew.end_agents()
        await start(crew, "unheard", "work", AGENT_PORT=str(port), AGENT_SERVICE_URL=tap.url)
        plain = Keyed(crew, "unheard", tmp_path / "plain")
        keyed = Keyed(crew, "unheard", tmp_path / "keyed")
        lost = await crew.execute("unheard", marks=str(tmp_path / "plain"))
        told = await keyed.call()
        for answer in (lost, told):
            assert answer.status_code == 502
            assert problem(answer) | {"code": "outcome-unknown", "outcome": "unknown"} == problem(answer)
        assert tap.lost == 2
        found = await keyed.call()
        assert (found.status_code, found.json()["result"]) == (200, {"number": 7})
        assert found.headers["x-task-id"] == told.headers["x-task-id"]
        assert (plain.executions, keyed.executions) == (1, 1)
        task = await crew.client.get(f"/api/agent-services/unheard/tasks/{problem(lost)['taskId']}")
        assert task.json()["state"] == "succeeded"
