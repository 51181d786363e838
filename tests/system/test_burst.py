"""A burst is queued in order of arrival; what finds no place is refused, with a Retry-After that is an estimate."""

import asyncio
import math
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.system.accepted import ASYNC
from tests.system.fleet import Fleet, problem
from tests.system.plugged import start
from tests.system.steered_agents import gate

BURST = 300
PAST_SECONDS = 1.4
QUEUE = 16
TOO_MANY = 40
SLACK_SECONDS = 0.5
"""What a busy machine may add to a measured moment."""


class Bursts:
    """Calls of one agent, through the manager or straight to its adapter."""

    def __init__(self, fleet: Fleet, agent: str, port: int, way: str) -> None:
        self._client = fleet.client
        self._adapter = f"http://127.0.0.1:{port}"
        self._url = f"{self._adapter}/execute" if way == "direct" else f"/api/agent-services/{agent}/execute"
        self._until = fleet.until

    async def call(self, headers: dict[str, str] | None = None, /, **parameters: object) -> httpx.Response:
        """Call the agent."""
        return await self._client.post(self._url, json={"parameters": parameters}, headers=headers or {})

    async def in_hand(self, running: int, queued: int) -> None:
        """Wait until so many run and wait."""

        async def there() -> bool:
            status = (await self._client.get(f"{self._adapter}/status")).json()
            return (len(status["tasks"]), status["queued"]) == (running, queued)

        await self._until(there, f"{running} run and {queued} wait")

    async def arrivals(self) -> list[str]:
        """Give the ids of all tasks in the order in which the adapter took them."""
        tasks = (await self._client.get(f"{self._adapter}/tasks", params={"limit": 1000})).json()["tasks"]
        return [task["taskId"] for task in sorted(tasks, key=lambda task: str(task["createdAt"]))]


@pytest.mark.parametrize("way", ["direct", "manager"])
async def test_a_burst_of_three_hundred_ends_with_as_many_results_in_order_of_arrival(
    crew: Fleet, tmp_path: Path, way: str
) -> None:
    """One runs at a time, 299 wait, none fails, and each has its turn where it stood in the line."""
    agent, marks, hold = f"burst-{way}", tmp_path / "marks", {"gate": str(tmp_path / "gate")}
    port = await start(crew, agent, "turn", AGENT_MAX_CONCURRENCY="1", AGENT_MAX_QUEUE=str(BURST))
    bursts = Bursts(crew, agent, port, way)
    first = asyncio.create_task(bursts.call(number=0, marks=str(marks), **hold))
    await bursts.in_hand(1, 0)
    rest = [asyncio.create_task(bursts.call(number=number, marks=str(marks))) for number in range(1, BURST)]
    await bursts.in_hand(1, BURST - 1)
    gate(hold, 1).touch()
    answers = await asyncio.gather(first, *rest)
    assert [answer.status_code for answer in answers] == [200] * BURST
    assert [answer.json()["result"] for answer in answers] == list(range(BURST))
    number_of = {answer.headers["x-task-id"]: str(answer.json()["result"]) for answer in answers}
    assert marks.read_text().split() == [number_of[task_id] for task_id in await bursts.arrivals()]


async def begin(bursts: Bursts) -> float:
    """Give the agent a past of one task, then fill its one place and its queue; gives when the first began."""
    (await bursts.call(seconds=PAST_SECONDS)).raise_for_status()
    began = time.monotonic()
    for _ in range(QUEUE + 1):
        accepted = await bursts.call(ASYNC, seconds=PAST_SECONDS)
        assert accepted.status_code == 202
    await bursts.in_hand(1, QUEUE)
    return began


@pytest.mark.parametrize("way", ["direct", "manager"])
async def test_what_finds_no_place_is_refused_with_an_estimate_that_holds(crew: Fleet, way: str) -> None:
    """The estimate is what this agent's own past says of the running task's rest, and it shrinks as that goes on."""
    agent = f"full-{way}"
    port = await start(crew, agent, "work", AGENT_MAX_CONCURRENCY="1", AGENT_MAX_QUEUE=str(QUEUE))
    bursts = Bursts(crew, agent, port, way)
    began = await begin(bursts)
    refused = await asyncio.gather(*(bursts.call() for _ in range(TOO_MANY)))
    told = {int(answer.headers["retry-after"]) for answer in refused}
    asked_at = time.monotonic()
    for answer in refused:
        assert answer.status_code == 503
        members: dict[str, Any] = problem(answer)
        assert (members["code"], members["started"]) == ("at-capacity", False)
        assert answer.headers["x-agent-refused"] == "at-capacity"

    assert max(told) <= math.ceil(PAST_SECONDS)
    assert min(told) >= math.ceil(PAST_SECONDS - (asked_at - began))

    await asyncio.sleep(max(0.0, began + PAST_SECONDS - 0.5 - time.monotonic()))
    later = await bursts.call(ASYNC)
    assert later.status_code == 202 or later.headers["retry-after"] == "1"
    await bursts.in_hand(1, QUEUE - (later.status_code == 503))  # the first has ended: there was a place
    assert time.monotonic() - asked_at <= max(told) + SLACK_SECONDS
