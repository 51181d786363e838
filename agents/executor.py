"""Runs steps such as the planner makes, one after the other, and says after each how far it is."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from agents.context import Context
from agents.documents import PROJECT, DocumentError, read_document
from agents.steps import Calculate, Count, Read, Retrieve, Step, StepError, Summarise, Wait, parse_steps
from agents.summary import summarise

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExecuteRequest:
    """The steps to run, in order; agents/steps.py says which there are."""

    steps: list[dict[str, Any]]


class ExecuteResult(TypedDict):
    """What each step gave, in order."""

    results: list[dict[str, Any]]


class Executor:
    """Holds the few threads in which files are read and texts are summarised, beside the event loop."""

    _pool: ThreadPoolExecutor

    def __init__(self, root: Path = PROJECT) -> None:
        self._root = root
        self._steps_done = 0

    def start(self) -> None:
        """Make the threads: two, for one page is read and summarised within milliseconds."""
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="executor")

    def close(self) -> None:
        """Let the threads go, and say what was done."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        log.info("the executor leaves", extra={"steps_done": self._steps_done})

    async def execute(self, parameters: ExecuteRequest, context: Context) -> ExecuteResult:
        """Give what each step gave. All steps are checked before the first one runs."""
        results: list[dict[str, Any]] = []
        try:
            steps = parse_steps(parameters.steps)
            for number, step in enumerate(steps):
                context.report_progress(number / len(steps), f"{number} of {len(steps)} done, now {_name(step)}")
                results.append(await self._run(step, f"parameters.steps[{number}]", results, context))
                self._steps_done += 1
        except StepError as mistake:
            context.reject(str(mistake), field=mistake.field)
        context.report_progress(1, f"{len(steps)} of {len(steps)} done")
        return {"results": results}

    async def _run(self, step: Step, path: str, results: list[dict[str, Any]], context: Context) -> dict[str, Any]:
        match step:
            case Wait(seconds):
                await asyncio.sleep(seconds)
                return {"waited": seconds}
            case Retrieve(query, limit):
                found = await context.call("retriever", {"query": query, "limit": limit})
                return {"passages": found["passages"]}
            case Summarise(source, sentences):
                text = _text(source, results)
                return {"summary": await self._in_thread(lambda: summarise(text, sentences))}
            case Count(source):
                text = _text(source, results)
                return {"words": len(text.split()), "lines": len(text.splitlines())}
            case Calculate(value):
                return {"value": value}
            case Read(document):
                return {"path": document, "text": await self._read(document, f"{path}.read")}

    async def _read(self, document: str, field: str) -> str:
        try:
            return await self._in_thread(lambda: read_document(document, self._root))
        except DocumentError as error:
            raise StepError(field, str(error)) from error

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _name(step: Step) -> str:
    """Give the step in a word or two, for the progress line."""
    return f"wait {step.seconds:g} s" if isinstance(step, Wait) else type(step).__name__.lower()


def _text(source: str | int, results: list[dict[str, Any]]) -> str:
    """Give a source's own text, or that of an earlier step's result."""
    if isinstance(source, str):
        return source
    match results[source]:
        case {"passages": passages}:
            return "\n\n".join(passage["text"] for passage in passages)
        case {"words": words, "lines": lines}:
            return f"{words} words in {lines} lines"
        case result:
            return str(next(result[name] for name in ("summary", "text", "value") if name in result))
