"""A task: one execution, from its admission to its one outcome."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from agent_contract.problems import Problem
from agent_contract.tracing import UNTRACED, Span
from agent_contract.wire import Progress, TaskState

Outcome = Literal["succeeded", "failed", "rejected", "cancelled", "timeout", "interrupted", "refused"]
"""How a task ended. `refused`: it waited, and the order to leave came before its turn, so it never was one of ours."""

STATE_OF: dict[Outcome, TaskState] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "rejected": "failed",
    "cancelled": "cancelled",
    "timeout": "failed",
    "interrupted": "failed",
    "refused": "failed",
}


@dataclass(frozen=True, slots=True)
class Key:
    """An `Idempotency-Key` and what it was sent with: another body under the same key is an error."""

    text: str
    body_digest: bytes


@dataclass(slots=True, eq=False)
class Task:
    """One execution. Times ending in `_at` are seconds of a monotonic clock.

    `awaited` tells that a caller waits for the answer on its connection; a task answered with 202 is not, and outlives
    the order to leave while it is queued. `on_cancel` reaches the agent's code when the task is cut short. `span` is
    that of its request, `invocation` that of the agent's code, `error_type` the class of what the code raised.
    """

    task_id: str
    parameters: Any
    created_at: float
    awaited: bool = True
    caller: str | None = None
    key: Key | None = None
    span: Span = UNTRACED
    invocation: Span | None = None
    error_type: str | None = None
    emit: Callable[[bytes], Any] | None = None
    started_at: float | None = None
    ended_at: float | None = None
    deadline_at: float | None = None
    progress: Progress | None = None
    outcome: Outcome | None = None
    result: bytes | None = None
    problem: Problem | None = None
    result_dropped: bool = False
    fetched: bool = False
    forgotten: bool = False
    on_cancel: Callable[[], None] | None = None
    turn: asyncio.Event | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def may_run(self) -> None:
        """Return when the task may run, or has its outcome without having run."""
        if self.turn is not None:
            await self.turn.wait()

    @property
    def state(self) -> TaskState:
        """The state as `GET /tasks/{taskId}` says it."""
        if self.outcome is not None:
            return STATE_OF[self.outcome]
        return "queued" if self.started_at is None else "running"

    @property
    def duration_seconds(self) -> float:
        """How long it ran; 0 for one that never began."""
        if self.started_at is None or self.ended_at is None:
            return 0.0
        return self.ended_at - self.started_at

    @property
    def finished_by_itself(self) -> bool:
        """Whether it ran and nobody cut it short."""
        return self.started_at is not None and self.outcome in ("succeeded", "failed", "rejected")

    def result_body(self) -> bytes:
        """Give the 200 body of `POST /execute` for a task that succeeded."""
        return msgspec.json.encode(
            {
                "taskId": self.task_id,
                "result": msgspec.Raw(self.result or b"null"),
                "durationSeconds": round(self.duration_seconds, 6),
            }
        )
