"""An agent in any language: one long-lived child process that reads and writes a JSON object a line."""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from agent_contract.problems import Problem
from agent_contract.wire import ProblemState

from agent_adapter.agents.agent import Emit
from agent_adapter.agents.child import Child
from agent_adapter.agents.context import Context
from agent_adapter.agents.encoding import encode
from agent_adapter.agents.parameters import JsonSchema, Parameters, Unchecked
from agent_adapter.errors import Rejected, StartFailed

_MESSAGES_WAITING: Final = 1000
"""Messages of one task that may wait for its reader; then the child's stdout is not read on."""
_CANCEL_SECONDS: Final = 5.0
"""How long a child may take to end a task that it was told to cancel; then it gets SIGTERM."""
_CRASHES: Final = 3
_CRASH_WINDOW_SECONDS: Final = 60.0
_FIRST_BACKOFF_SECONDS: Final = 0.1
_LONGEST_BACKOFF_SECONDS: Final = 10.0
_SETTLED_SECONDS: Final = 1.0
"""A child that has lived so long, or said something, is there: its predecessor's crash is no longer a problem."""

log = structlog.stdlib.get_logger(__name__)


class CommandAgent:
    """Runs tasks in a child process and starts it again when it dies."""

    streams = True
    cancels = True

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: str | None,
        on_change: Callable[[], None],
        on_restart: Callable[[], None],
        schema: dict[str, Any] | None = None,
    ) -> None:
        self._command = list(command)
        self._environment = environment
        self._directory = directory
        self._on_change = on_change
        self._on_restart = on_restart
        self._parameters: Parameters = JsonSchema(schema) if schema is not None else Unchecked()
        self._child: Child | None = None
        self._there = asyncio.Event()
        self._tasks: dict[str, asyncio.Queue[dict[str, Any] | None]] = {}
        self._crashes: deque[float] = deque(maxlen=_CRASHES)
        self._keeper: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self.problem: ProblemState | None = None

    @property
    def parameters_schema(self) -> dict[str, Any] | None:
        """The configuration's schema."""
        return self._parameters.schema

    async def start(self) -> None:
        """Spawn the child; raises StartFailed when there is no such program."""
        try:
            child = await self._spawn()
        except OSError as error:
            raise StartFailed(f"cannot start command {self._command[0]!r}: {error.strerror}") from error
        self._keeper = asyncio.create_task(self._keep(child))

    async def close(self) -> None:
        """End the child: its stdin is closed, then SIGTERM, then SIGKILL."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._child is not None:
            await self._child.end()

    def accept(self, parameters: dict[str, Any]) -> Any:  # noqa: ANN401  # as they came
        """Check the parameters against the configuration's schema; raises Rejected."""
        return self._parameters.accept(parameters)

    async def run(self, parameters: Any, context: Context, emit: Emit) -> bytes:  # noqa: ANN401  # what accept gave
        """Give the child's result; raises Rejected, or Problem `agent-failed` or `agent-crashed`."""
        child = await self._living_child()
        messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(_MESSAGES_WAITING)
        self._tasks[context.task_id] = messages
        message = {"taskId": context.task_id, "parameters": parameters}
        if context.traceparent:
            message["traceparent"] = context.traceparent
        try:
            await child.send(message)
            return await _outcome(messages, context, emit)
        except asyncio.CancelledError:
            self._cancel(child, context.task_id, messages)
            raise
        finally:
            if self._tasks.get(context.task_id) is messages and not context.cancelled:
                del self._tasks[context.task_id]

    async def _living_child(self) -> Child:
        if not self._there.is_set() and self._crashes_often():
            raise Problem("agent-crashed", f"{self._command[0]} has crashed {_CRASHES} times in a minute", status=503)
        while self._child is None or not self._there.is_set():
            await self._there.wait()
        return self._child

    def _crashes_often(self) -> bool:
        return len(self._crashes) == _CRASHES and time.monotonic() - self._crashes[0] < _CRASH_WINDOW_SECONDS

    def _cancel(self, child: Child, task_id: str, messages: "asyncio.Queue[dict[str, Any] | None]") -> None:
        async def tell() -> None:
            await child.send({"taskId": task_id, "cancel": True})
            try:
                async with asyncio.timeout(_CANCEL_SECONDS):
                    while not _is_last(await messages.get()):
                        pass
            except TimeoutError:
                log.warning("child did not end a cancelled task, terminating it", task_id=task_id, pid=child.pid)
                child.terminate()
            finally:
                self._tasks.pop(task_id, None)

        telling = asyncio.create_task(tell())
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _spawn(self) -> Child:
        self._child = await Child.spawn(
            self._command, environment=self._environment, directory=self._directory, on_message=self._heard
        )
        self._there.set()
        return self._child

    async def _keep(self, child: Child) -> None:
        """Serve the child; when it dies fail its tasks and start the next, with backoff."""
        attempt = 0
        while True:
            settling = asyncio.get_running_loop().call_later(_SETTLED_SECONDS, self._say, None)
            born = time.monotonic()
            code = await child.serve()
            settling.cancel()
            attempt = 0 if time.monotonic() - born > _CRASH_WINDOW_SECONDS else attempt + 1
            self._died(code)
            child = await self._next_child(attempt)

    async def _next_child(self, attempt: int) -> Child:
        while True:
            longest = min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2**attempt)
            await asyncio.sleep(random.uniform(0, longest))  # noqa: S311  # jitter, not a secret
            try:
                child = await self._spawn()
            except OSError as error:
                attempt += 1
                log.warning("cannot start the command", command=self._command[0], error=error.strerror)
            else:
                self._on_restart()
                return child

    def _died(self, code: int) -> None:
        self._there.clear()
        self._crashes.append(time.monotonic())
        self._say(f"the command {self._command[0]} exited with {code}")
        for messages in self._tasks.values():
            with contextlib.suppress(asyncio.QueueFull):
                messages.put_nowait(None)

    def _heard(self, message: dict[str, Any]) -> Any:  # noqa: ANN401  # an awaitable, or None
        self._say(None)
        messages = self._tasks.get(str(message.get("taskId")))
        if messages is None:
            log.debug("child spoke of a task that is not in hand", task_id=message.get("taskId"))
            return None
        return messages.put(message)

    def _say(self, detail: str | None) -> None:
        if detail is None and self.problem is None:
            return
        self.problem = ProblemState("agent-crashed", detail, datetime.now(UTC)) if detail else None
        if detail:
            log.error("child process died", detail=detail)
        self._on_change()


def _is_last(message: dict[str, Any] | None) -> bool:
    return message is None or "result" in message or "error" in message


async def _outcome(messages: "asyncio.Queue[dict[str, Any] | None]", context: Context, emit: Emit) -> bytes:
    streamed = False
    while (message := await messages.get()) is not None:
        if "chunk" in message:
            streamed = True
            await emit(encode(message["chunk"]))
        elif "progress" in message:
            _report(message["progress"], context)
        elif "error" in message:
            raise _failure(message["error"])
        elif "result" in message:
            whole = message["result"] is None and streamed
            return b"" if whole else encode(message["result"])
    raise Problem("agent-crashed", "the agent's process ended before it answered")


def _report(progress: Any, context: Context) -> None:  # noqa: ANN401  # what a child wrote
    if isinstance(progress, dict):
        fraction, message = progress.get("fraction"), progress.get("message")
    else:
        fraction, message = progress, None
    number = isinstance(fraction, int | float) and not isinstance(fraction, bool)
    context.report_progress(fraction if number else None, message)


def _failure(error: Any) -> Exception:  # noqa: ANN401  # what a child wrote
    if not isinstance(error, dict):
        return Problem("agent-failed", str(error))
    kind, message = str(error.get("type", "Error")), str(error.get("message", ""))
    if kind == "BadParameters":
        field = error.get("field")
        return Rejected(message, field if isinstance(field, str) else None)
    return Problem("agent-failed", f"{kind}: {message}")
