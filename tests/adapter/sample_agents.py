"""Agents of every kind, as an author would write them; `Gate` lets a test decide when one goes on."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, NotRequired, TypedDict

from agent_adapter.agents.context import Context


class Gate:
    """Opened by the test: agents that wait at it then go on."""

    entered: asyncio.Event
    opened: asyncio.Event
    left: asyncio.Event

    @classmethod
    def reset(cls) -> None:
        """Begin anew, on the test's event loop."""
        cls.entered, cls.opened, cls.left = asyncio.Event(), asyncio.Event(), asyncio.Event()


class Wait(TypedDict):
    """Parameters with a schema."""

    text: str
    times: NotRequired[int]


async def echo(parameters: dict[str, Any]) -> dict[str, Any]:
    """Give the parameters back."""
    return parameters


async def typed(parameters: Wait) -> Any:
    """Give the parameters back, which have a schema."""
    return parameters


async def gated(parameters: dict[str, Any], context: Context) -> Any:
    """Wait at the gate, or until cancelled."""
    context.report_progress(0.5, "at the gate")
    Gate.entered.set()
    try:
        await Gate.opened.wait()
    finally:
        Gate.left.set()
    return parameters


async def stubborn(_: dict[str, Any]) -> str:
    """Go on after being cancelled."""
    Gate.entered.set()
    while True:
        try:
            await Gate.opened.wait()
        except asyncio.CancelledError:
            continue
        Gate.left.set()
        return "late"


async def streamed(parameters: dict[str, Any]) -> AsyncIterator[Any]:
    """Yield each of `chunks`, then wait at the gate when `wait` is set."""
    try:
        for chunk in parameters.get("chunks", ()):
            yield chunk
        for characters in parameters.get("sizes", ()):
            yield "x" * characters
        if parameters.get("wait"):
            Gate.entered.set()
            await Gate.opened.wait()
    finally:
        Gate.left.set()


def counted(parameters: dict[str, Any], context: Context) -> Iterator[Any]:
    """Yield numbers from a thread, and which thread that is, until there are enough or the task is cancelled."""
    for number in range(parameters["count"]):
        if context.cancelled:
            return
        yield [number, threading.current_thread().name]


async def failing(parameters: dict[str, Any]) -> None:
    """Raise what is asked for."""
    kinds = {"exit": SystemExit, "cancel": asyncio.CancelledError, "interrupt": KeyboardInterrupt, "value": ValueError}
    raise kinds[parameters["kind"]](*parameters.get("words", ()))


def failing_in_thread(parameters: dict[str, Any]) -> None:
    """Raise what is asked for, in a thread."""
    kinds = {"exit": SystemExit, "stop": StopIteration, "value": ValueError}
    raise kinds[parameters["kind"]](*parameters.get("words", ()))


async def rejecting(parameters: dict[str, Any], context: Context) -> None:
    """Blame the caller."""
    context.reject("too many", field=parameters.get("field"))


async def large(parameters: dict[str, Any]) -> str:
    """Give a text of so many characters."""
    return "x" * int(parameters["characters"])


async def unencodable(_: dict[str, Any]) -> object:
    """Give what has no JSON form."""
    return object()


class SlowStart:
    """An agent whose start waits at the gate."""

    async def start(self) -> None:
        """Wait."""
        Gate.entered.set()
        await Gate.opened.wait()

    async def close(self) -> None:
        """Say that it was closed."""
        Gate.left.set()

    async def execute(self, parameters: dict[str, Any]) -> Any:
        """Give the parameters back."""
        return parameters


class FailedStart:
    """An agent that cannot start."""

    async def start(self) -> None:
        """Fail."""
        raise ConnectionError("no database")

    async def execute(self, _: dict[str, Any]) -> None:
        """Never run."""
