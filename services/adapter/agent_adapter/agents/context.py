"""What agent code is told of its task, and what it may ask for."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, Protocol

from agent_contract.tracing import UNTRACED, Span, TraceContext
from agent_contract.wire import Progress

from agent_adapter.errors import Rejected


class Caller(Protocol):
    """Calls another agent through the manager; raises AgentError."""

    def __call__(
        self, agent_id: str, parameters: dict[str, Any], *, timeout: float | None, idempotency_key: str | None
    ) -> Awaitable[Any]:
        """Give the other agent's result."""


@dataclass(slots=True)
class Ports:
    """The two ways out of a context: `report` takes progress (from any thread), `call` reaches another agent."""

    report: Callable[[Progress], None]
    call: Caller
    loop: asyncio.AbstractEventLoop


class Context:
    """The second argument of an agent's function."""

    def __init__(
        self, task_id: str, ports: Ports, *, deadline: datetime | None, span: Span = UNTRACED, streaming: bool
    ) -> None:
        self.task_id = task_id
        self.deadline = deadline
        """When the task will be cut for taking too long (UTC), or None."""
        self.logger = logging.getLogger("agent")
        self.cancelled = False
        """Becomes true when the task is cancelled or cut: code in a thread looks at it and returns."""
        self.streaming = streaming
        """Whether the caller reads chunks as they come."""
        self._ports = ports
        self._span = span

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context of the task, or None."""
        return self._span.context.traceparent

    @property
    def trace(self) -> TraceContext:
        """The same with `tracestate` and `baggage`."""
        return self._span.context

    def report_progress(self, fraction: float | None = None, message: str | None = None) -> None:
        """Say how far the task is: a fraction from 0 to 1 (others are clipped), a text; from any thread."""
        clipped = None if fraction is None else min(1.0, max(0.0, float(fraction)))
        self._ports.report(Progress(fraction=clipped, message=None if message is None else str(message)))

    def reject(self, detail: str, field: str | None = None) -> NoReturn:
        """Say that the parameters are the caller's mistake (422); `field` is a path such as `parameters.limit`."""
        raise Rejected(detail, field)

    async def call(
        self,
        agent_id: str,
        parameters: dict[str, Any],
        timeout: float | None = None,  # noqa: ASYNC109  # the agent author's own bound, in seconds
        idempotency_key: str | None = None,
    ) -> Any:  # noqa: ANN401  # any JSON value
        """Give the result of another agent, called through the manager; raises AgentError."""
        return await self._ports.call(agent_id, parameters, timeout=timeout, idempotency_key=idempotency_key)

    def call_sync(
        self,
        agent_id: str,
        parameters: dict[str, Any],
        timeout: float | None = None,
        idempotency_key: str | None = None,
    ) -> Any:  # noqa: ANN401  # any JSON value
        """Do what `call` does, for code that runs in a thread."""

        async def ask() -> Any:  # noqa: ANN401  # any JSON value
            return await self._ports.call(agent_id, parameters, timeout=timeout, idempotency_key=idempotency_key)

        return asyncio.run_coroutine_threadsafe(ask(), self._ports.loop).result()
