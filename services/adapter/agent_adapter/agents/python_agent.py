"""An agent that is a Python callable: a function, an async one, an async generator, or a class with `execute`."""

import asyncio
import contextlib
import contextvars
import importlib
import inspect
import os
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal

from agent_contract.wire import ProblemState

from agent_adapter.agents.agent import Emit
from agent_adapter.agents.context import Context
from agent_adapter.agents.encoding import encode
from agent_adapter.agents.parameters import JsonSchema, Parameters, Unchecked, parameters_of
from agent_adapter.errors import StartFailed

Kind = Literal["sync", "async", "async generator"]

_SPARE_THREADS: Final = 64
"""Threads beside `maxConcurrency`: a cancelled task keeps its thread until its code looks at `context.cancelled`."""


class PythonAgent:
    """Runs an entry point `package.module:name` in this process; sync code in a thread, never on the event loop."""

    def __init__(self, entry_point: str, *, threads: int, schema: dict[str, Any] | None = None) -> None:
        self._entry_point = entry_point
        self._function: Callable[..., Any] = _not_started
        self._instance: Any = None
        self._parameters: Parameters = Unchecked()
        self._schema = schema
        self._wants_context = False
        self._kind: Kind = "sync"
        self._pool = ThreadPoolExecutor(threads + _SPARE_THREADS, thread_name_prefix="agent")
        self.streams = False
        self.cancels = True
        self.problem: ProblemState | None = None

    @property
    def parameters_schema(self) -> dict[str, Any] | None:
        """The configuration's schema, else that of the annotation."""
        return self._parameters.schema

    async def start(self) -> None:
        """Import the entry point, make its instance, run its `start()`."""
        await self._in_thread(self._load)
        start = getattr(self._instance, "start", None)
        if start is not None:
            try:
                await self._call(start)
            except Exception as error:
                raise StartFailed(f"cannot start {self._entry_point}: {_said(error)}") from error

    async def close(self) -> None:
        """Run the instance's `close()` and let the threads go."""
        close = getattr(self._instance, "close", None)
        if close is not None:
            await self._call(close)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def accept(self, parameters: dict[str, Any]) -> Any:  # noqa: ANN401  # what the agent annotated
        """Give the parameters as the entry point annotated them; raises Rejected."""
        return self._parameters.accept(parameters)

    async def run(self, parameters: Any, context: Context, emit: Emit) -> bytes:  # noqa: ANN401  # what accept gave
        """Call the entry point; chunks of a generator are emitted, and its result is their list."""
        arguments = (parameters, context) if self._wants_context else (parameters,)
        if self._kind == "async":
            return encode(await self._function(*arguments))
        if self._kind == "async generator":
            return await self._collect(self._function(*arguments), emit)
        result = await self._call(self._function, *arguments)
        if inspect.isgenerator(result):
            return await self._collect(self._from_thread(result), emit)
        return encode(result)

    def _load(self) -> None:
        module_name, _, name = self._entry_point.partition(":")
        sys.path.insert(0, os.getcwd())  # noqa: PTH109  # sys.path holds texts
        try:
            target = importlib.import_module(module_name)
            for part in name.split("."):
                target = getattr(target, part)
            self._instance = target() if inspect.isclass(target) else None
            self._function = self._instance.execute if inspect.isclass(target) else target  # type: ignore[assignment]
        except BaseException as error:  # a module may raise anything, SystemExit too
            raise StartFailed(f"cannot load entry point {self._entry_point}: {_said(error)}") from error
        if not callable(self._function):
            raise StartFailed(f"cannot load entry point {self._entry_point}: {name} is not callable")
        self._parameters = JsonSchema(self._schema) if self._schema is not None else parameters_of(self._function)
        self._wants_context = _takes_two(self._function)
        self._kind = _kind(self._function)
        self.streams = self._kind == "async generator" or inspect.isgeneratorfunction(self._function)

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401  # the agent's own
        if inspect.iscoroutinefunction(function):
            return await function(*arguments)
        result = await self._in_thread(function, *arguments)
        return await result if inspect.isawaitable(result) else result

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401  # the agent's own
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: context.run(_guarded, function, arguments))

    async def _from_thread(self, generator: Generator[Any, Any, Any]) -> AsyncGenerator[Any, None]:
        end = object()
        try:
            while (item := await self._in_thread(next, generator, end)) is not end:
                yield item
        finally:
            with contextlib.suppress(ValueError):  # a cancelled task's thread may still be inside of it
                await self._in_thread(generator.close)

    @staticmethod
    async def _collect(chunks: AsyncGenerator[Any, None], emit: Emit) -> bytes:
        async with contextlib.aclosing(chunks):  # its `finally` runs now, not when the collector comes by
            async for chunk in chunks:
                await emit(encode(chunk))
        return b""


def _kind(function: Callable[..., Any]) -> Kind:
    if inspect.isasyncgenfunction(function):
        return "async generator"
    return "async" if inspect.iscoroutinefunction(function) else "sync"


def _guarded(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401  # the agent's own
    try:
        return function(*arguments)
    except StopIteration as error:  # a future cannot carry it
        raise RuntimeError(f"StopIteration: {error}") from error


def _takes_two(function: Callable[..., Any]) -> bool:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return True
    return sum(parameter.kind in positional for parameter in parameters) >= 2  # noqa: PLR2004  # parameters, context


def _not_started(*_: object) -> None:
    raise RuntimeError("the agent was not started")


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
