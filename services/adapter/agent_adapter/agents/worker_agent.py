"""The adapter's side of `isolation: "process"`: a Python entry point in a child process, and what it may ask for."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
import structlog
from agent_contract.problems import Problem
from agent_contract.tracing import continuing
from msgspec import UnsetType

from agent_adapter.agents.child import Child, Launch
from agent_adapter.agents.child_task import ChildTask
from agent_adapter.agents.command_agent import CommandAgent
from agent_adapter.agents.context import Context
from agent_adapter.agents.json_lines import CHUNK_WINDOW, Call, CallAnswer, FromChild, FromWorker, LogLine, ToChild
from agent_adapter.errors import AgentError

_LEVELS: Final = logging.getLevelNamesMapping()
_OURS: Final = frozenset(
    {"event", "level", "logger", "message", "timestamp", "agent", "instance_id", "task_id", "exc_info", "stack_info"}
)
"""Members of a log line that are the adapter's to say, and those that its log would act on."""
_CODES: Final = frozenset({"agent-failed", "result-too-large"})
"""What may be wrong with a result: found in the worker, which has it first."""

log = structlog.stdlib.get_logger(__name__)


class WorkerAgent(CommandAgent):
    """Runs tasks of an entry point `package.module:name` in one warm child process."""

    _greets = True
    _from_child = msgspec.json.Decoder(FromWorker)

    def __init__(
        self,
        entry_point: str,
        *,
        threads: int,
        log_level: str,
        environment: Mapping[str, str],
        on_change: Callable[[], None],
        on_restart: Callable[[], None],
        directory: str | None = None,
        schema: dict[str, Any] | None = None,
    ) -> None:
        command = worker_command(entry_point, threads=threads, log_level=log_level, checked=schema is not None)
        launch = Launch(command, environment, f"process of {entry_point}", directory)
        super().__init__(launch, on_change=on_change, on_restart=on_restart, schema=schema)
        self.streams = False
        self._page: asyncio.Future[bytes] | None = None
        self._annotated: dict[str, Any] | None = None

    @property
    def parameters_schema(self) -> dict[str, Any] | None:
        """The configuration's schema, else that of the annotation."""
        return self._parameters.schema or self._annotated

    async def metrics(self, accept: str) -> bytes:
        """Give what the agent's code registered with prometheus-client in its process, in the format asked for.

        Nothing where that ends meanwhile. One at a time may ask, and bounds the time; raises Problem `agent-crashed`.
        """
        child = await self._keeper.living()
        page: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._page = page
        await child.send(ToChild("", metrics=accept))
        return await page

    def bereaved(self) -> None:
        """Fail what was in the child, the wait for its metrics too."""
        if self._page is not None and not self._page.done():
            self._page.set_result(b"")
        super().bereaved()

    def note(self, line: bytes) -> None:
        """Log a record of the worker again as the adapter's own, with its task; other lines as they are."""
        try:
            record = msgspec.json.decode(line, type=LogLine)
        except (msgspec.DecodeError, RecursionError):
            super().note(line)
            return
        fields = {name: value for name, value in (record.fields or {}).items() if name not in _OURS}
        fields |= {} if record.task_id is None else self._facts_of(record.task_id)
        known = {"trace_id": record.trace_id, "span_id": record.span_id, "exception": record.exception}
        fields |= {name: text for name, text in known.items() if text is not None}
        level = _LEVELS.get(record.level.upper(), logging.INFO)
        structlog.stdlib.get_logger(record.logger).log(level, record.message, **fields)

    def _begin(self, context: Context, child: Child) -> ChildTask:
        return WorkerTask(context, child.send)

    def _request(self, parameters: Any, context: Context) -> ToChild:  # noqa: ANN401  # what accept gave
        return ToChild(
            context.task_id,
            parameters=parameters,
            traceparent=context.trace.traceparent,
            tracestate=context.trace.tracestate,
            baggage=context.trace.baggage,
            deadline=context.deadline,
            streaming=context.streaming,
        )

    async def _heard(self, said: FromChild) -> None:
        if not isinstance(said, FromWorker):
            return
        if not isinstance(said.ready, UnsetType):
            self.streams, self._annotated = said.ready.streaming, said.ready.parameters_schema
            self._keeper.arrived()
            self._keeper.settled()
        elif not isinstance(said.failed, UnsetType):
            self._keeper.complain(said.failed)
        elif not isinstance(said.metrics, UnsetType):
            if self._page is not None and not self._page.done():
                self._page.set_result(said.metrics.encode())
        else:
            await super()._heard(said)

    def _failure(self, error: Any) -> Exception:  # noqa: ANN401  # what the worker wrote
        code = error.get("code") if isinstance(error, dict) else None
        if code in _CODES:
            return Problem(str(code), str(error.get("message")))
        return super()._failure(error)


class WorkerTask(ChildTask):
    """A task in the worker: its calls to other agents are made here, where the manager's token is."""

    def __init__(self, context: Context, send: Callable[[ToChild], Awaitable[None]]) -> None:
        super().__init__(context)
        self._send = send
        self._taken = 0
        self._calls: dict[int, asyncio.Task[None]] = {}

    async def hear(self, said: FromChild) -> None:
        """Begin the call that it asks for, or take the word."""
        if isinstance(said, FromWorker):
            self.streamed = self.streamed or said.streamed
            if not isinstance(said.call, UnsetType):
                self._begin_or_drop(said.call)
                return
        await super().hear(said)

    async def chunk_taken(self) -> None:
        """Tell the worker, now and then, that it may send on."""
        self._taken += 1
        if self._taken == CHUNK_WINDOW // 2:
            self._taken = 0
            await self._send(ToChild(self.context.task_id, taken=CHUNK_WINDOW // 2))

    def let_go(self) -> None:
        """Give up its calls, and let those go who wait."""
        for call in self._calls.values():
            call.cancel()
        super().let_go()

    def _begin_or_drop(self, call: Call) -> None:
        if not call.cancel:
            self._calls[call.call_id] = asyncio.create_task(self._call(call))
        elif call.call_id in self._calls:
            self._calls[call.call_id].cancel()

    async def _call(self, call: Call) -> None:
        try:
            with continuing(call.trace or self.context.trace):  # what the code there is in, else its task's
                result = await self.context.call(call.agent_id, call.parameters, call.timeout, call.idempotency_key)
            answer = CallAnswer(call.call_id, result=result)
        except AgentError as error:
            answer = CallAnswer(call.call_id, error=_members(error))
        except Exception as error:  # the worker waits for an answer
            log.exception("calling another agent failed", task_id=self.context.task_id, called=call.agent_id)
            answer = CallAnswer(call.call_id, error=_members(AgentError("outcome-unknown", str(error))))
        finally:
            del self._calls[call.call_id]
        await self._send(ToChild(self.context.task_id, answer=answer))


def worker_command(entry_point: str, *, threads: int, log_level: str, checked: bool) -> list[str]:
    """Give the command of a worker; `checked`: the adapter checks parameters against the configuration's schema.

    `-P`: a file in the working directory must not stand in for a library before the agent's code is loaded.
    """
    options = [f"--threads={threads}", f"--log-level={log_level}", *(["--checked"] if checked else [])]
    return [sys.executable, "-P", "-m", "agent_adapter.agents.worker", *options, entry_point]


def _members(error: AgentError) -> dict[str, Any]:
    return {
        "code": error.code,
        "detail": error.detail,
        "status": error.status,
        "started": error.started,
        "outcome": error.outcome,
    }
