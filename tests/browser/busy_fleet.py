"""A fleet of twelve real agents that are as busy and as troubled as fleets are: for the screens to show something."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx

from tests.system.fleet import Fleet

AGENTS: Final = '''
"""Agents that take their time, say how far they are, log, and fail now and then."""
import asyncio
import dataclasses
import logging
import random
import typing

log = logging.getLogger("story")


@dataclasses.dataclass
class Question:
    """What to look into."""

    text: str
    depth: int = 3
    style: typing.Literal["short", "long"] = "short"
    sources: bool = True
    seconds: float = 0.0
    fail: bool = False


async def answer(parameters: Question, context):
    log.info("asked", extra={"depth": parameters.depth, "characters": len(parameters.text)})
    steps = max(1, parameters.depth)
    for step in range(steps):
        context.report_progress(step / steps, f"step {step + 1} of {steps}: reading")
        await asyncio.sleep(parameters.seconds / steps)
    if parameters.fail:
        log.error("the index does not answer")
        raise RuntimeError("the index does not answer: timed out after 5 s")
    return {"answer": parameters.text.upper(), "steps": steps}


async def work(parameters, context):
    seconds = parameters.get("seconds", 0)
    for percent in range(0, 100, 2):
        context.report_progress(percent / 100, parameters.get("say", f"{percent} of 100 pages read"))
        await asyncio.sleep(seconds / 50)
    if parameters.get("fail"):
        log.warning("gave up", extra={"reason": "quota"})
        raise RuntimeError("the quota is used up")
    return {"pages": 100}


async def stream(parameters):
    for number in range(parameters.get("chunks", 5)):
        await asyncio.sleep(parameters.get("seconds", 0.2))
        yield {"token": number}
'''
NAMES: Final = {
    "planner": ("PlannerAgent", "Makes a goal into ordered steps", "answer", 4),
    "executor": ("ExecutorAgent", "Runs steps one after the other", "work", 6),
    "retriever": ("RetrieverAgent", "Finds passages in the docs", "answer", 8),
    "summariser": ("SummariserAgent", "Says the same in fewer words", "work", 4),
    "translator": ("TranslatorAgent", "German, French, Japanese", "work", 4),
    "invoice-reader": ("InvoiceReader", "Reads invoices and books them", "work", 3),
    "mail-triage": ("MailTriage", "Sorts what came in overnight", "work", 4),
    "code-review": ("CodeReview", "Comments on merge requests", "work", 2),
    "sql-analyst": ("SqlAnalyst", "Answers questions from the warehouse", "stream", 2),
    "forecaster": ("Forecaster", "Demand of the next two weeks", "work", 1),
    "crawler": ("Crawler", "Reads the partners' pages", "work", 4),
}


class BusyFleet:
    """The processes, and the calls that keep them busy."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._calls: set[asyncio.Task[Any]] = set()

    async def start(self, names: tuple[str, ...] = tuple(NAMES)) -> None:
        """Start the adapters, two at a time: two cores start no more at once."""
        (self.fleet.directory / "busy_agents.py").write_text(AGENTS)
        for index in range(0, len(names), 2):
            await asyncio.gather(*(self._start(name) for name in names[index : index + 2]))

    async def _start(self, name: str, suffix: str = "", **settings: str) -> None:
        title, about, function, room = NAMES[name]
        await self.fleet.start_adapter(
            f"{name}{suffix}",
            name,
            ("--entry-point", f"busy_agents:{function}"),
            AGENT_NAME=title,
            AGENT_DESCRIPTION=about,
            AGENT_VERSION="1.4.0",
            AGENT_MAX_CONCURRENCY=str(room),
            AGENT_DRAIN_TIMEOUT_SECONDS="240",
            **settings,
        )

    async def second(self, name: str) -> None:
        """Start a second instance of an agent."""
        await self._start(name, "-2")

    def call(self, agent: str, **parameters: object) -> None:
        """Call an agent and wait for nothing."""
        task = asyncio.create_task(self._call(agent, parameters))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _call(self, agent: str, parameters: dict[str, object]) -> None:
        with contextlib.suppress(httpx.TransportError):
            await self.fleet.execute(agent, None, **parameters)

    async def begin(self, agent: str, **parameters: object) -> str:
        """Begin a task and give its id."""
        answer = await self.fleet.execute(agent, {"Prefer": "respond-async"}, **parameters)
        task_id: str = answer.json()["taskId"]
        return task_id

    async def trouble(self) -> None:
        """Let an agent be paused, one drain, one be silent, and one crash as often as it is started."""
        for seconds in (70, 100, 45):
            await self.begin("code-review", seconds=seconds, say="reading the diff")
        await self.fleet.act("mail-triage", "pause")
        self.fleet.signal("crawler", signal.SIGSTOP)
        await self.fleet.start_adapter(
            "ocr",
            "ocr",
            ("--", "/bin/sh", "-c", "sleep 0.5; echo 'no space left on device' >&2; exit 3"),
            AGENT_DESCRIPTION="Text from scanned pages",
        )

    async def drain(self, seconds: float = 60) -> None:
        """Let the invoice reader leave with three tasks in hand, of which its past says how long they take."""
        for say, takes in (("page 3 of 40", 100), ("booking 17 of 20", 40), ("matching orders", 34)):
            await self.begin("invoice-reader", seconds=takes, say=say)
        await self.fleet.act("invoice-reader", "stop", timeoutSeconds=seconds)

    async def past(self) -> None:
        """Let the invoice reader have done some work of the same kind."""
        await asyncio.gather(
            *(self.fleet.execute("invoice-reader", None, seconds=takes) for takes in (9, 21, 30)),
        )

    async def traffic(self, seconds: float, pace: float = 0.12) -> None:
        """Call agents as people do: some more than others, some for longer, some in vain."""
        end, number = asyncio.get_running_loop().time() + seconds, 0
        while asyncio.get_running_loop().time() < end:
            number += 1
            self.call("retriever", text="drain", seconds=0.05 * (number % 5), depth=2)
            if number % 2 == 0:
                self.call("planner", text="a goal", seconds=0.4, fail=number % 14 == 0)
            if number % 3 == 0:
                self.call("executor", seconds=1.5 + number % 4)
            if number % 5 == 0:
                self.call("summariser", seconds=0.8, fail=number % 25 == 0)
                self.call("sql-analyst", chunks=3)
            if number % 7 == 0:
                self.call("translator", seconds=2.5)
            if number % 20 == 0:
                self.call("forecaster", seconds=9)
            await asyncio.sleep(pace)

    async def end(self) -> None:
        """Leave the calls alone; the fleet ends the processes."""
        for task in self._calls:
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)


@contextlib.asynccontextmanager
async def busy_fleet(
    directory: Path, names: tuple[str, ...] = tuple(NAMES), **settings: str
) -> AsyncIterator[BusyFleet]:
    """Give the fleet, with a manager and every agent running; `settings` are variables of their environment."""
    async with Fleet(directory) as fleet:
        fleet.settings.update(settings)
        await fleet.start_manager()
        busy = BusyFleet(fleet)
        try:
            await busy.start(names)
            yield busy
        finally:
            await busy.end()
