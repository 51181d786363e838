"""Agents that run in real adapter processes; what a test must see of them goes through files in the log directory."""

import asyncio
import atexit
import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any


async def echo(parameters: dict[str, Any]) -> dict[str, Any]:
    """Give the parameters back."""
    return parameters


async def work(parameters: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work for so many seconds."""
    context.report_progress(0.1, "begun")
    print("begun")
    await asyncio.sleep(parameters.get("seconds", 0))
    if parameters.get("fail"):
        raise RuntimeError("told to fail")
    return parameters


def stubborn(parameters: dict[str, Any], context: Any) -> str:
    """Work in a thread for so many seconds, whatever is wished meanwhile."""
    print("begun")
    time.sleep(parameters["seconds"])
    return f"cancelled: {context.cancelled}"


def polite(_: dict[str, Any], context: Any) -> None:
    """Work in a thread until cancelled."""
    print("begun")
    while not context.cancelled:
        time.sleep(0.005)
    print("noticed")


async def deaf(_: dict[str, Any]) -> None:
    """Work on the event loop for ever, cancelled or not."""
    print("begun")
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


async def stream(parameters: dict[str, Any]) -> AsyncIterator[int]:
    """Yield numbers."""
    try:
        for number in range(parameters["count"]):
            yield number
            await asyncio.sleep(parameters.get("seconds", 0))
    finally:
        print("stream closed")


async def speak(parameters: dict[str, Any], context: Any) -> dict[str, Any]:
    """Say something in each way that there is."""
    print("by print", parameters["word"])
    logging.getLogger("mine").warning("by logging %s", parameters["word"])
    context.logger.info("by the context")
    await asyncio.to_thread(print, "from a thread")
    return {}


async def surroundings(_: dict[str, Any]) -> dict[str, Any]:
    """Tell where it runs and what it sees."""
    return {"environment": dict(os.environ), "directory": str(Path.cwd()), "path": sys.path[0], "pid": os.getpid()}


class Careful:
    """Notes its start, its close and the process's exit handlers in a file."""

    def __init__(self) -> None:
        self._file = Path(os.environ["NOTES"])
        atexit.register(self._note, "exit handler")

    def start(self) -> None:
        """Note it."""
        self._note("start")

    async def execute(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Give the parameters back."""
        return parameters

    async def close(self) -> None:
        """Note it."""
        self._note("close")

    def _note(self, what: str) -> None:
        with self._file.open("a") as file:
            file.write(f"{what}\n")


class SlowClose(Careful):
    """Takes its time to close."""

    async def close(self) -> None:
        """Take longer than anybody waits."""
        await asyncio.sleep(3600)


class SlowStart:
    """Starts when a file appears."""

    def start(self) -> None:
        """Wait in a thread."""
        print("starting")
        while not Path(os.environ["NOTES"]).exists():
            time.sleep(0.005)

    async def execute(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Give the parameters back."""
        return parameters


class FailedStart(SlowStart):
    """Cannot start."""

    def start(self) -> None:
        """Fail."""
        raise ConnectionError("no database\nat all")
