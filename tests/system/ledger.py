"""The ledger of a fault: what the callers were told, what the adapters counted, what ran; and that the three agree."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.system.fleet import Fleet, problem
from tests.system.tap import Tap

PER_SECOND = 40
WARM_CALLS = 20
OUTCOMES = ("succeeded", "failed", "cancelled", "interrupted", "unknown")
AS_FAILED = ("rejected", "timeout")
"""What adapters count apart and callers know as a failure."""


def outcome(answer: httpx.Response) -> str:
    """Give what an answer says became of the call: one of the outcomes, or `refused` where no work began."""
    if answer.status_code == 200:
        return "succeeded"
    said = problem(answer)
    if said.get("started") is False:
        return "refused"
    return str(said.get("outcome", "failed"))


class Ledger:
    """Numbered calls of one agent. `tap` stands before the manager, and hears the last words of those that leave."""

    def __init__(self, fleet: Fleet, agent: str, book: Path, tap: Tap) -> None:
        self._fleet = fleet
        self._agent = agent
        self._book = book
        self._tap = tap
        self._numbers = itertools.count()
        self._begun = 0
        self.answers: dict[int, httpx.Response] = {}

    async def call(
        self, port: int | None = None, headers: dict[str, str] | None = None, /, **parameters: object
    ) -> int:
        """Call through the manager, or straight to an adapter's port; gives the number under which the answer is."""
        number = next(self._numbers)
        path = f"/api/agent-services/{self._agent}/execute" if port is None else f"http://127.0.0.1:{port}/execute"
        body = {"parameters": {"number": number, "book": str(self._book), **parameters}}
        while True:
            answer = await self._fleet.client.post(path, json=body, headers=headers or {})
            repeated = headers is not None and "Idempotency-Key" in headers and outcome(answer) == "unknown"
            if not repeated:
                self.answers[number] = answer
                return number

    async def under_load(
        self,
        story: Callable[[], Awaitable[None]],
        call: Callable[[], Awaitable[object]],
        *,
        per_second: float = PER_SECOND,
    ) -> None:
        """Let the story happen while so many calls a second begin, on time whatever became of those before.

        Returns when every call has its answer; a load that was not kept up has proved nothing.
        """
        begin = time.monotonic()
        async with asyncio.TaskGroup() as calls:
            load = asyncio.create_task(self._load(calls, call, 1 / per_second))
            try:
                await self._fleet.until(self._warm, "the load is warm")
                await story()
            finally:
                load.cancel()
                seconds = time.monotonic() - begin
        assert self._begun >= 0.6 * per_second * seconds, f"only {self._begun} calls in {seconds:.1f} s"

    async def balance(self) -> Counter[str]:
        """Check that callers, adapters and the book of what ran agree; gives what the callers were told."""
        told = Counter(outcome(answer) for answer in self.answers.values())
        counted = await self._counted()
        accepted = len(self.answers) - told["refused"]
        assert accepted == sum(told[name] for name in OUTCOMES), told
        assert counted.total() == accepted, (counted, told)
        for name in ("failed", "cancelled", "interrupted"):
            assert counted[name] == told[name], (counted, told)
        assert counted["succeeded"] == told["succeeded"] + told["unknown"], (counted, told)
        ran = [int(number) for number in self._book.read_text().split()]
        assert len(ran) == len(set(ran)), "something ran twice"
        began = {number for number, answer in self.answers.items() if outcome(answer) not in ("refused", "failed")}
        assert began <= set(ran) <= set(self.answers)
        return told

    async def _warm(self) -> bool:
        return len(self.answers) >= WARM_CALLS

    async def _load(self, calls: asyncio.TaskGroup, call: Callable[[], Awaitable[object]], pause: float) -> None:
        async def one() -> None:
            await call()

        due = time.monotonic()
        while True:
            self._begun += 1
            calls.create_task(one())
            due += pause
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _counted(self) -> Counter[str]:
        """Give what the adapters counted: asked of those that are there, last words of those that left."""
        counted: Counter[str] = Counter()
        for one in await self._fleet.instances(self._agent):
            page = (await self._fleet.client.get(f"{one['serviceUrl']}/metrics")).text
            for family in text_string_to_metric_families(page):
                if family.name == "agent_tasks":
                    counted.update(
                        {sample.labels["outcome"]: int(sample.value) for sample in family.samples if sample.labels}
                    )
        for said in self._tap.posted("/api/agent-services/unregister"):
            counted.update({name: count for name, count in said["totals"].items() if isinstance(count, int)})
        for name in AS_FAILED:
            counted["failed"] += counted.pop(name, 0)
        return counted
