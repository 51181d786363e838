"""An agent that is a Python callable: a function, an async one, an async generator, or a class with `execute`."""

import asyncio
import contextlib
import contextvars
import importlib
import inspect
import os
import sys
import threading
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
_CHUNKS_AHEAD: Final = 2
"""Chunks that a generator in a thread may be ahead of its reader."""


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
        self._started = False
        self._pool = ThreadPoolExecutor(threads + _SPARE_THREADS, thread_name_prefix="agent")
        self.streams = False
        self.cancels = True
        self.problem: ProblemState | None = None

    @property
    def parameters_schema(self) -> dict[str, Any] | None:
        """The configuration's schema, else that of the annotation."""
        return self._parameters.schema

    async def start(self) -> None:
        """Import the entry point, make its instance, run its `start()`; raises StartFailed."""
        await self._in_thread(self._load)
        await self._call_own("start", "cannot start")
        self._started = True

    async def close(self) -> None:
        """Run the instance's `close()`, unless its `start()` was never done, and let the threads go."""
        try:
            if self._started:
                await self._call_own("close", "cannot close")
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def _call_own(self, name: str, cannot: str) -> None:
        method = getattr(self._instance, name, None)
        if method is None:
            return
        try:
            await self._call(method)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # it may raise anything, SystemExit too
            raise StartFailed(f"{cannot} {self._entry_point}: {_said(error)}") from error

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
            return await self._collect_from_thread(result, emit)
        if inspect.isasyncgen(result):  # a decorator hid that the function is one
            return await self._collect(result, emit)
        return encode(result)

    def _load(self) -> None:
        module_name, _, name = self._entry_point.partition(":")
        sys.path.insert(0, os.getcwd())  # noqa: PTH109  # sys.path holds texts
        try:
            target = importlib.import_module(module_name)
            for part in name.split("."):
                target = getattr(target, part)
            self._take(target)
        except BaseException as error:  # a module may raise anything, SystemExit too
            raise StartFailed(f"cannot load entry point {self._entry_point}: {_said(error)}") from error

    def _take(self, target: Any) -> None:  # noqa: ANN401  # what stands at the entry point
        self._instance = target() if inspect.isclass(target) else None
        function = target if self._instance is None else self._instance.execute
        if not callable(function):
            raise TypeError(f"a {type(function).__name__} is not callable")
        self._function = function
        self._parameters = JsonSchema(self._schema) if self._schema is not None else parameters_of(function)
        self._wants_context = _takes_two(function)
        self._kind = _kind(function)
        self.streams = self._kind == "async generator" or inspect.isgeneratorfunction(function)

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401  # the agent's own
        if inspect.iscoroutinefunction(function):
            return await function(*arguments)
        result = await self._in_thread(function, *arguments)
        return await result if inspect.isawaitable(result) else result

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401  # the agent's own
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: context.run(_guarded, function, arguments))

    async def _collect_from_thread(self, generator: Generator[Any, Any, Any], emit: Emit) -> bytes:
        """Run a generator in one thread from its first step to its last: what it opens there may be bound to it."""
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        room, left = threading.Semaphore(_CHUNKS_AHEAD), threading.Event()

        def produce() -> None:
            with contextlib.closing(generator):
                for item in generator:
                    room.acquire()
                    if left.is_set():
                        return
                    loop.call_soon_threadsafe(chunks.put_nowait, encode(item))

        producing = asyncio.ensure_future(self._in_thread(produce))
        producing.add_done_callback(lambda _: chunks.put_nowait(None))
        try:
            while (chunk := await chunks.get()) is not None:
                await emit(chunk)
                room.release()
            await producing
        finally:
            left.set()
            room.release()
            producing.cancel()
            await asyncio.wait([producing])
            if not producing.cancelled():
                producing.exception()  # seen, when something else ended the task first
        return b""

    @staticmethod
    async def _collect(chunks: AsyncGenerator[Any, Any], emit: Emit) -> bytes:
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
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
