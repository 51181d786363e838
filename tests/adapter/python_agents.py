"""Python entry points of every shape, for the tests of how they are called."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn

from agent_adapter.agents.context import Context

log: list[str] = []
"""What the agents here have done, in order."""


def one(parameters: dict[str, Any]) -> list[Any]:
    """Take one argument, in a thread."""
    return [parameters, threading.current_thread().name.partition("_")[0]]


def two(parameters: dict[str, Any], context: Context) -> list[Any]:
    """Take two, in a thread."""
    return [parameters, context.task_id]


def any_number(*arguments: Any) -> int:
    """Take what comes."""
    return len(arguments)


async def one_async(parameters: dict[str, Any]) -> list[Any]:
    """Take one argument, on the event loop."""
    return [parameters, threading.current_thread() is threading.main_thread()]


async def two_async(parameters: dict[str, Any], context: Context) -> list[Any]:
    """Take two, on the event loop."""
    return [parameters, context.task_id]


def gives_coroutine(parameters: dict[str, Any]) -> Any:
    """Give a coroutine, as a decorated function does."""
    return one_async(parameters)


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    """Hide what a function is, and keep its signature."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@decorated
async def hidden_generator(_: dict[str, Any]) -> AsyncIterator[int]:
    """Yield behind a decorator."""
    yield 1
    yield 2


class Callable_:  # noqa: N801  # beside typing's
    """An instance that can be called."""

    async def __call__(self, parameters: dict[str, Any]) -> Any:
        """Give the parameters."""
        return parameters


instance = Callable_()


class Whole:
    """A class with everything, sync."""

    def __init__(self) -> None:
        log.append("init")

    def start(self) -> None:
        """Note it."""
        log.append("start")

    def execute(self, parameters: dict[str, Any], context: Context) -> list[Any]:
        """Give what came."""
        return [parameters, context.task_id]

    def close(self) -> None:
        """Note it."""
        log.append("close")


class WholeAsync:
    """A class with everything, async."""

    async def start(self) -> None:
        """Note it."""
        log.append("start")

    async def execute(self, parameters: dict[str, Any]) -> Any:
        """Give what came."""
        return parameters

    async def close(self) -> None:
        """Note it."""
        log.append("close")


class Bare:
    """A class that can only execute."""

    async def execute(self, parameters: dict[str, Any]) -> AsyncIterator[Any]:
        """Yield what came."""
        yield parameters


class Holder:
    """Holds an entry point deeper in the module."""

    class Inner(Bare):
        """The same."""


class StartRaises(WholeAsync):
    """Cannot start."""

    async def start(self) -> None:
        """Fail."""
        raise ConnectionError("no database")


class StartExits(WholeAsync):
    """Leaves the process as it starts."""

    def start(self) -> NoReturn:
        """Exit."""
        raise SystemExit(3)


class CloseRaises(WholeAsync):
    """Cannot close."""

    def close(self) -> NoReturn:
        """Fail."""
        raise SystemExit(4)


class InitRaises:
    """Cannot be made."""

    def __init__(self) -> None:
        raise KeyError("API_KEY")


class NoExecute:
    """Does nothing."""


answer = 42


async def wait_for_ever(_: dict[str, Any]) -> None:
    """Wait until cancelled, and note it."""
    try:
        await asyncio.Event().wait()
    finally:
        log.append("cancelled")
