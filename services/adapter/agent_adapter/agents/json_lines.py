"""What an adapter and a child process say to one another: one JSON object a line.

Any program may be the child (`command`): it knows `ToChild`'s first four members and `FromChild`. The adapter's own
worker (`isolation: "process"`) knows all of them: it says `ready` first, may call other agents, and is told how many of
its chunks were taken, so that a reader who lags holds up his own task and no other.
"""

from datetime import datetime
from typing import Any, Final

from agent_contract.tracing import TraceContext
from msgspec import UNSET, Raw, Struct, UnsetType

CHUNK_WINDOW: Final = 64
"""Chunks of one task that a worker may be ahead of their reader."""


class CallAnswer(Struct, rename="camel", frozen=True, omit_defaults=True):
    """What became of a call to another agent: a result, or the members of an AgentError."""

    call_id: int
    result: Any = None
    error: dict[str, Any] | None = None


class ToChild(Struct, rename="camel", frozen=True, omit_defaults=True):
    """A task (it has `parameters`), the cancel of one, or for a worker a word on one."""

    task_id: str
    parameters: Any = UNSET
    traceparent: str | None = None
    cancel: bool = False
    tracestate: str | None = None
    baggage: str | None = None
    deadline: datetime | None = None
    streaming: bool = False
    taken: int = 0
    answer: CallAnswer | UnsetType = UNSET
    metrics: str | UnsetType = UNSET
    """The `Accept` of who asks for the metrics of the worker's process; no task is meant."""


class FromChild(Struct, rename="camel", frozen=True, omit_defaults=True):
    """A word of any child on a task; `result` and `error` are the last one."""

    task_id: str = ""
    chunk: Raw | UnsetType = UNSET
    progress: Any = UNSET
    result: Raw | UnsetType = UNSET
    error: Any = None

    @property
    def is_last(self) -> bool:
        """Whether the task has ended with it."""
        return self.error is not None or self.result is not UNSET


class Ready(Struct, rename="camel", frozen=True):
    """The first word of a worker: its agent is loaded and started."""

    parameters_schema: dict[str, Any] | None = None
    streaming: bool = False


class Call(Struct, rename="camel", frozen=True, omit_defaults=True):
    """The wish to call another agent, or (`cancel`) to give such a call up."""

    call_id: int
    agent_id: str = ""
    parameters: Any = None
    timeout: float | None = None
    idempotency_key: str | None = None
    cancel: bool = False
    trace: TraceContext | None = None


class FromWorker(FromChild, rename="camel", frozen=True, omit_defaults=True):
    """A word of the adapter's own worker; `streamed` with a null result: the result is the list of the chunks."""

    ready: Ready | UnsetType = UNSET
    failed: str | UnsetType = UNSET
    call: Call | UnsetType = UNSET
    metrics: str | UnsetType = UNSET
    streamed: bool = False


class LogLine(Struct, frozen=True, omit_defaults=True):
    """A log record of a worker, on its standard error."""

    level: str
    logger: str
    message: str
    task_id: str | None = None
    exception: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    fields: dict[str, Any] | None = None
