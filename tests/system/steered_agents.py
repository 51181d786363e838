"""Agents for the stories of streams, drains and faults: what they do is steered by their parameters and by files."""

import asyncio
import ctypes
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from agent_adapter.agents.context import Context

LOOK_SECONDS = 0.005


def mark(parameters: dict[str, Any], word: str) -> None:
    """Add a line to the file that the parameters name."""
    with Path(parameters["marks"]).open("a") as file:
        file.write(f"{word}\n")


def enter(parameters: dict[str, Any]) -> None:
    """Write the number into the book that the parameters name: what ran twice stands there twice."""
    if "book" in parameters:
        with Path(parameters["book"]).open("a") as book:
            book.write(f"{parameters['number']}\n")


def gate(parameters: dict[str, Any], number: int) -> Path:
    """Give the file that the test makes when this chunk may come."""
    return Path(f"{parameters['gate']}{number}")


def is_open(parameters: dict[str, Any], number: int) -> bool:
    """Tell whether this chunk may come; the first always may."""
    return number == 0 or gate(parameters, number).exists()


async def opened(parameters: dict[str, Any], number: int) -> None:
    """Return when this chunk may come."""
    while not is_open(parameters, number):  # noqa: ASYNC110  # the test is another process
        await asyncio.sleep(LOOK_SECONDS)


async def gated(parameters: dict[str, Any]) -> AsyncIterator[dict[str, int]]:
    """Yield chunks, each behind the first only when the test lets it."""
    for number in range(parameters["chunks"]):
        await opened(parameters, number)
        yield {"number": number}


async def quiet(parameters: dict[str, Any]) -> AsyncIterator[str]:
    """Yield once, then nothing for so many seconds; a mark tells that it was cancelled."""
    try:
        yield "begun"
        await asyncio.sleep(parameters["seconds"])
        yield "done"
    except BaseException:
        if "marks" in parameters:
            mark(parameters, "cancelled")
        raise


async def work(parameters: dict[str, Any], context: Context) -> dict[str, Any]:
    """Report, take so many seconds, and give the number back; marks tell that it began, and how it ended."""
    enter(parameters)
    context.report_progress(0.25, f"number {parameters.get('number')}")
    seconds, marks = parameters.get("seconds", 0), parameters.get("marks")
    if marks:
        mark(parameters, "began")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if marks:
            mark(parameters, "cancelled")
        raise
    return {"number": parameters.get("number")}


async def turn(parameters: dict[str, Any]) -> int:
    """Mark the number when it is its turn, wait for the gate if it has one, and give the number back."""
    mark(parameters, str(parameters["number"]))
    if "gate" in parameters:
        await opened(parameters, 1)
    return int(parameters["number"])


def watch(parameters: dict[str, Any], context: Context) -> None:
    """Look in a thread whether the task was cancelled, and mark it."""
    context.report_progress(0.25, "watching")
    mark(parameters, "began")
    while not context.cancelled:
        time.sleep(LOOK_SECONDS)
    mark(parameters, "cancelled")


async def hold(parameters: dict[str, Any]) -> dict[str, Any]:
    """Hold the interpreter for so many seconds, as C code does that never releases it."""
    enter(parameters)
    ctypes.PyDLL(None).usleep(int(parameters.get("seconds", 0) * 1_000_000))
    return {"number": parameters.get("number")}
