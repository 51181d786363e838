"""Entry points that the tests of isolation run in a child process, and what the tests need to speak with them."""

import asyncio
import ctypes
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, TypedDict

from agent_adapter.agents.context import Context


class Greeting(TypedDict):
    """Who is to be greeted."""

    name: str


class Counter:
    """A class: it counts its calls, and writes a file when it is closed."""

    def __init__(self) -> None:
        self.calls = 0

    async def start(self) -> None:
        """Begin at a hundred, so that a test sees that this ran."""
        self.calls = 100

    def execute(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Give the number of this call and the process."""
        self.calls += 1
        self.file = parameters.get("file")
        return {"calls": self.calls, "pid": os.getpid()}

    def close(self) -> None:
        """Leave a word."""
        if self.file:
            Path(self.file).write_text("closed")


class Broken:
    """A class that cannot start."""

    def start(self) -> None:
        """Fail."""
        raise ConnectionError("no database")

    def execute(self, parameters: dict[str, Any]) -> None:
        """Do nothing."""


def leave_word(parameters: dict[str, Any], word: str) -> None:
    """Write to the file that the test names."""
    Path(parameters["file"]).write_text(word)


def greet(parameters: Greeting) -> str:
    """Greet, in a thread."""
    return f"hello {parameters['name']}"


def told(_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Give what the context says."""
    deadline = context.deadline.isoformat() if context.deadline else None
    return {
        "taskId": context.task_id,
        "deadline": deadline,
        "traceparent": context.traceparent,
        "streaming": context.streaming,
    }


def variables(_: dict[str, Any]) -> list[str]:
    """Give the names in the environment."""
    return sorted(os.environ)


def loaded(_: dict[str, Any]) -> list[str]:
    """Give the names of the packages in this process."""
    return sorted({name.partition(".")[0] for name in sys.modules})


def fail(parameters: dict[str, Any], context: Context) -> Any:
    """Fail in the way that is asked for."""
    match parameters["way"]:
        case "reject":
            context.reject("there is no such town", "parameters.town")
        case "raise":
            raise LookupError("nothing found")
        case "exit":
            sys.exit(3)
        case "size":
            return "x" * (10 * 1024 * 1024)
        case "form":
            return object()
        case "die":
            os._exit(7)
        case "stay":
            return stay({"forever": True}, context)
    return None


def speak(_: dict[str, Any], context: Context) -> str:
    """Say something in every way that there is, and try to read the protocol."""
    print("printed", "line")  # noqa: T201  # what is tested
    print("to stderr", file=sys.stderr)  # noqa: T201  # what is tested
    context.logger.warning("logged", extra={"town": "Bern", "level": "mine"})
    os.write(1, b'{"taskId": "%b", "result": "forged"}\n' % context.task_id.encode())
    subprocess.run(["echo", "from a program"], check=True)
    return sys.stdin.read()


def log_in_its_own_way(_: dict[str, Any]) -> None:
    """Configure logging as many programs do, and log."""
    logging.basicConfig(format="own: %(message)s", level="INFO", force=True)
    logging.getLogger("agent").info("first")
    print("second")  # noqa: T201  # what is tested


async def numbers(parameters: dict[str, Any]) -> AsyncIterator[int]:
    """Yield so many numbers, and leave the count of them in a file."""
    sent = 0
    try:
        for number in range(parameters["count"]):
            sent = number + 1
            yield number
    finally:
        if "file" in parameters:
            leave_word(parameters, str(sent))


def letters(_: dict[str, Any]) -> Iterator[str]:
    """Yield from a thread."""
    yield "a"
    yield "b"


def step(_: dict[str, Any], context: Context) -> None:
    """Report a great many steps."""
    for number in range(10_001):
        context.report_progress(number / 10_000, f"step {number}")


async def ask(parameters: dict[str, Any], context: Context) -> Any:
    """Give what another agent gives, or how it failed."""
    try:
        return await context.call("other", {"n": 1}, timeout=9.5, idempotency_key="k")
    except Exception as error:
        if parameters.get("catch"):
            return {name: getattr(error, name) for name in ("code", "detail", "status", "started", "outcome")}
        raise


def ask_in_thread(_: dict[str, Any], context: Context) -> Any:
    """Call another agent from a thread."""
    return context.call_sync("other", {"n": 2})


async def give_up(_: dict[str, Any], context: Context) -> str:
    """Give up a call to another agent that takes too long."""
    try:
        async with asyncio.timeout(0.05):
            await context.call("other", {})
    except TimeoutError:
        return "gave up"
    return "was answered"


async def wait(parameters: dict[str, Any], context: Context) -> str:
    """Wait for ever, or until it is cancelled; leaves a word then."""
    context.report_progress(None, "begun")
    try:
        await asyncio.Event().wait()
    finally:
        leave_word(parameters, "cancelled")
    return "never"


def watch(parameters: dict[str, Any], context: Context) -> str:
    """Look whether it was cancelled, in a thread; leaves a word then."""
    context.report_progress(None, "begun")
    while not context.cancelled:
        time.sleep(0.005)
    leave_word(parameters, "saw it")
    return "too late"


def stay(parameters: dict[str, Any], context: Context) -> int:
    """Give the process's id, or stay for ever whatever it is told."""
    if not parameters.get("forever"):
        return os.getpid()
    context.report_progress(None, "begun")
    threading.Event().wait()
    return 0


def hold(parameters: dict[str, Any], context: Context) -> int:
    """Hold the interpreter for so many seconds, as C code does that never releases it; gives the process's id."""
    if parameters.get("seconds"):
        context.report_progress(None, "begun")
        time.sleep(0.05)  # let the report out
        ctypes.PyDLL(None).sleep(parameters["seconds"])
    return os.getpid()


def leave_a_child(parameters: dict[str, Any]) -> None:
    """Start a program that outlives this process and holds its output open, and die."""
    program = subprocess.Popen(["sleep", "60"], start_new_session=parameters.get("escape", False))
    Path(parameters["file"]).write_text(str(program.pid))
    os._exit(9)
