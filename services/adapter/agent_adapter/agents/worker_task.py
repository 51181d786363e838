"""One task inside the worker: what its context reaches, and how its chunks, calls and progress go to the adapter."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import msgspec
from agent_contract.tracing import Span, TraceContext, current_context
from agent_contract.wire import Progress
from msgspec import Raw

from agent_adapter.agents.context import Context, Ports
from agent_adapter.agents.json_lines import CHUNK_WINDOW, Call, CallAnswer, FromWorker, ToChild
from agent_adapter.errors import AgentError

Send = Callable[[FromWorker], None]

_CALL_IDS = itertools.count(1)


class WorkerTask:
    """A task that the adapter gave to this process."""

    def __init__(self, asked: ToChild, send: Send, loop: asyncio.AbstractEventLoop) -> None:
        self.task_id = asked.task_id
        self.running: asyncio.Task[None] | None = None
        self._send = send
        self._loop = loop
        self._may_send = asyncio.Semaphore(CHUNK_WINDOW)
        self._calls: dict[int, asyncio.Future[CallAnswer]] = {}
        self._progress: Progress | None = None
        self.has_ended = False
        """Whether its last word was sent; code that does not end may still run then."""
        self.context = Context(
            asked.task_id,
            Ports(report=self._report, call=self._call, loop=loop),
            deadline=asked.deadline,
            span=Span(context=TraceContext(asked.traceparent, asked.tracestate, asked.baggage)),
            streaming=asked.streaming,
        )

    async def emit(self, chunk: bytes) -> None:
        """Send a chunk; waits while the reader is a window behind."""
        await self._may_send.acquire()
        if not self.has_ended:
            self._flush_progress()
            self._send(FromWorker(self.task_id, chunk=Raw(chunk)))

    def end(self, last: FromWorker) -> None:
        """Send the last word, once."""
        if not self.has_ended:
            self._flush_progress()
            self.has_ended = True
            self._send(last)

    def cancel(self) -> None:
        """Tell its code to end: async code by cancellation, a thread by `context.cancelled`; its calls end too."""
        self.context.cancelled = True
        for call in self._calls.values():
            call.cancel()
        if self.running is not None:
            self.running.cancel()

    def told(self, asked: ToChild) -> None:
        """Take a word of the adapter on it."""
        for _ in range(asked.taken):
            self._may_send.release()
        if isinstance(asked.answer, CallAnswer):
            waiting = self._calls.get(asked.answer.call_id)
            if waiting is not None and not waiting.done():
                waiting.set_result(asked.answer)

    def _report(self, progress: Progress) -> None:
        """Keep the latest progress, from any thread: a loop that reports each step sends what the adapter can use."""
        pending, self._progress = self._progress is not None, progress
        if not pending:
            self._loop.call_soon_threadsafe(self._flush_progress)

    def _flush_progress(self) -> None:
        progress, self._progress = self._progress, None
        if progress is not None and not self.has_ended:
            self._send(FromWorker(self.task_id, progress=progress))

    async def _call(
        self,
        agent_id: str,
        parameters: dict[str, Any],
        *,
        timeout: float | None,  # noqa: ASYNC109  # the agent author's own bound, in seconds
        idempotency_key: str | None,
    ) -> Any:  # noqa: ANN401  # any JSON value
        """Have the adapter call another agent; raises AgentError."""
        call_id = next(_CALL_IDS)
        answered = self._calls[call_id] = self._loop.create_future()
        body = Raw(msgspec.json.encode(parameters))
        call = Call(call_id, agent_id, body, timeout, idempotency_key, trace=current_context())
        self._send(FromWorker(self.task_id, call=call))
        try:
            answer = await answered
        except asyncio.CancelledError:
            self._send(FromWorker(self.task_id, call=Call(call_id, cancel=True)))
            raise
        finally:
            del self._calls[call_id]
        if answer.error is not None:
            raise AgentError(**answer.error)
        return answer.result
