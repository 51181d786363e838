"""One task from its arrival to its outcome: checked, admitted, run, answered for, or cut short.

The agent's code runs in an asyncio task of its own, so that the caller is answered the moment a task is cancelled or
cut, whatever the code does about it, and so that a caller who leaves takes nothing with him.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from agent_contract.problems import Problem, refusal
from agent_contract.tracing import Span
from agent_contract.tracing.names import QUEUED_SECONDS
from agent_contract.wire import Progress

from agent_adapter.admission import TaskTable
from agent_adapter.agents.agent import Agent
from agent_adapter.agents.context import Caller, Context, Ports
from agent_adapter.agents.encoding import MAX_RESULT_BYTES
from agent_adapter.errors import Rejected
from agent_adapter.lifecycle import Lifecycle
from agent_adapter.tasks import Outcome, Task

_BEGAN: Final = frozenset(("agent-failed", "result-too-large"))
"""Problems of a task whose code ran; an upstream's failures leave that open."""

log = structlog.stdlib.get_logger(__name__)

CallerOf = Callable[[str, float | None, Span], Caller]
Invocation = Callable[[Span], Span]
"""Begins the span of the agent's code inside its request's."""


class Execution:
    """Runs tasks. `spawn` starts a coroutine in the process's task group; `caller_of` gives a task its way out."""

    def __init__(
        self,
        table: TaskTable,
        lifecycle: Lifecycle,
        agent: Agent,
        *,
        clock: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], Any],
        caller_of: CallerOf,
        task_timeout_seconds: float | None,
        invocation: Invocation,
    ) -> None:
        self.table = table
        table.on_end.append(_end_invocation)
        self._lifecycle = lifecycle
        self._agent = agent
        self._clock = clock
        self._spawn = spawn
        self._caller_of = caller_of
        self._task_timeout_seconds = task_timeout_seconds
        self._invocation = invocation

    def submit(self, task: Task) -> Task:
        """Take the task, or give the one that its idempotency key began.

        Raises:
            Problem: a refusal (409 `paused`, `stopping`; 503 `starting`, `at-capacity`), 422 `bad-parameters`,
                409 `key-in-use` or 422 `key-reused`.

        """
        earlier = self._earlier(task)
        if earlier is not None:
            return earlier
        self._refuse_unless_taking()
        task.parameters = self._accepted(task.parameters)
        self.table.admit(task)
        self._spawn(self._run(task))
        return task

    def cancel(self, task_id: str) -> Task:
        """End a task at its caller's wish and give it; raises Problem 404 `unknown-task` or 409 `already-ended`."""
        task = self.table.find(task_id)
        if task is None:
            raise Problem("unknown-task", f"no task {task_id!r} here within the last hour")
        if task.outcome is not None:
            raise Problem("already-ended", f"task {task_id} has ended already: {task.state}")
        self._cut(task, "cancelled", _cancelled(started=task.started_at is not None))
        return task

    def follow_lifecycle(self) -> None:
        """Bring the waiting tasks in line with the state: none starts while paused, none is left behind by a drain.

        From the order to leave on (after a signal: from the end of its quiet period) a task whose caller waits gets the
        409, for no work on it began; one that was answered with 202 is work in hand.
        """
        drain = self._lifecycle.drain
        if drain is None:
            self.table.hold(self._lifecycle.paused)
        elif self._clock() >= drain.quiet_until:
            for task in [task for task in self.table.queue.values() if task.awaited]:
                self._cut(task, "refused", refusal("stopping", "the instance is stopping"))
            self.table.hold(False)

    def cut_all(self) -> int:
        """End what is still in hand at the drain's deadline; gives how many tasks that were."""
        tasks = [*self.table.queue.values(), *self.table.running.values()]  # the waiting first, or they would start
        for task in tasks:
            started = task.started_at is not None
            detail = "the drain's deadline came before the task was done"
            problem = Problem("drain-timeout", detail, started=started)
            if started:
                problem.extra["outcome"] = "interrupted"
            self._cut(task, "interrupted", problem)
        return len(tasks)

    def _earlier(self, task: Task) -> Task | None:
        if task.key is None:
            return None
        known = self.table.find_key(task.key)
        if known is None or known.key is None:
            return None
        if known.key.body_digest != task.key.body_digest:
            raise Problem("key-reused", "this idempotency key came with another body before", field="Idempotency-Key")
        if known.outcome is None:
            detail = f"task {known.task_id} with this key is still {known.state}"
            raise Problem("key-in-use", detail, headers={"Retry-After": "1"}, taskId=known.task_id)
        return known

    def _accepted(self, parameters: dict[str, Any]) -> Any:  # noqa: ANN401  # the form that the agent annotated
        try:
            return self._agent.accept(parameters)
        except Rejected as rejected:
            raise _bad_parameters(rejected) from rejected
        except Exception as error:  # an annotation's own validators are agent code
            log.exception("checking parameters failed")
            raise Problem("agent-failed", f"cannot check the parameters: {_said(error)}", started=False) from error

    def _refuse_unless_taking(self) -> None:
        if self._lifecycle.takes_work:
            return
        state = self._lifecycle.state
        if state == "stopping":
            raise refusal("stopping", "the instance is stopping: it takes no new work")
        if state == "paused":
            raise refusal("paused", "the instance is paused", retry_after_seconds=5)
        raise refusal("starting", "the instance is still starting")

    async def _run(self, task: Task) -> None:
        await task.may_run()
        if task.outcome is not None:
            return
        span = self._begin_invocation(task)
        structlog.contextvars.bind_contextvars(task_id=task.task_id, **span.make_current())
        context = self._context(task, span)
        current = asyncio.current_task()
        timer = self._timer(task)

        def on_cancel() -> None:
            context.cancelled = True
            if current is not None:
                current.cancel()

        task.on_cancel = on_cancel
        chunks = _Chunks(task)
        try:
            result = await self._agent.run(task.parameters, context, chunks.emit)
            self.table.end(task, "succeeded", result=result or chunks.joined())
        except BaseException as error:
            # Agent code may raise anything, SystemExit and CancelledError too: it becomes the task's outcome, unless
            # the task has one. Let out of here, SystemExit would end the process and CancelledError lose the task.
            self._failed(task, error)
            if isinstance(error, asyncio.CancelledError | GeneratorExit):
                raise
        finally:
            if timer is not None:
                timer.cancel()

    def _begin_invocation(self, task: Task) -> Span:
        span = task.invocation = self._invocation(task.span)
        if span.recording:
            span.set({QUEUED_SECONDS: round((task.started_at or task.created_at) - task.created_at, 6)})
        return span

    def _context(self, task: Task, span: Span) -> Context:
        deadline = None
        if task.deadline_at is None and self._task_timeout_seconds is not None:
            task.deadline_at = (task.started_at or self._clock()) + self._task_timeout_seconds
        if task.deadline_at is not None:
            deadline = datetime.now(UTC) + timedelta(seconds=task.deadline_at - self._clock())
        loop = asyncio.get_running_loop()

        def report(progress: Progress) -> None:
            task.progress = progress

        ports = Ports(report=report, call=self._caller_of(task.task_id, task.deadline_at, span), loop=loop)
        return Context(task.task_id, ports, deadline=deadline, span=span, streaming=task.emit is not None)

    def _timer(self, task: Task) -> asyncio.TimerHandle | None:
        if self._task_timeout_seconds is None:
            return None
        detail = f"the task took longer than {self._task_timeout_seconds:g} s"
        problem = Problem("task-timeout", detail, started=True, outcome="cancelled")
        loop = asyncio.get_running_loop()
        return loop.call_later(self._task_timeout_seconds, self._cut, task, "timeout", problem)

    def _cut(self, task: Task, outcome: Outcome, problem: Problem) -> None:
        on_cancel = task.on_cancel
        if self.table.end(task, outcome, problem=problem) and on_cancel is not None:
            on_cancel()

    def _failed(self, task: Task, error: BaseException) -> None:
        if task.outcome is not None:
            log.debug("agent code raised after its task was over", exc_info=error)
        elif isinstance(error, Rejected):
            self.table.end(task, "rejected", problem=_bad_parameters(error))
        elif isinstance(error, Problem):
            log.error("task failed", code=error.code, detail=error.detail)
            if error.code in _BEGAN:
                error.extra.setdefault("started", True)
            self.table.end(task, "failed", problem=error)
        else:
            log.error("task failed", exc_info=error)
            task.error_type = type(error).__qualname__
            self.table.end(task, "failed", problem=Problem("agent-failed", _said(error), started=True))


class _Chunks:
    """What a generator yields: handed to the stream's reader, and kept for the result, which is their list."""

    def __init__(self, task: Task) -> None:
        self._emit = task.emit
        self._kept: list[bytes] = []
        self._bytes = 0

    async def emit(self, chunk: bytes) -> None:
        """Take one chunk as JSON text; raises Problem `result-too-large` when their list is over 10 MiB."""
        self._bytes += len(chunk) + 1
        if self._bytes > MAX_RESULT_BYTES:
            raise Problem("result-too-large", f"the chunks have more than {MAX_RESULT_BYTES} bytes")
        self._kept.append(chunk)
        if self._emit is not None:
            await self._emit(chunk)

    def joined(self) -> bytes:
        """Give the JSON list of the chunks."""
        return b"[" + b",".join(self._kept) + b"]"


def _end_invocation(task: Task) -> None:
    """End the span of a task with its outcome, whatever its code goes on to do."""
    span = task.invocation
    if span is None or not span.recording:
        return
    if task.problem is not None:
        span.fail(task.error_type or task.problem.code)
    span.end()


def _said(error: BaseException) -> str:
    name, text = type(error).__name__, str(error)
    return f"{name}: {text}" if text else name


def _cancelled(*, started: bool) -> Problem:
    return Problem("agent-cancelled", "the task was cancelled", started=started, outcome="cancelled")


def _bad_parameters(rejected: Rejected) -> Problem:
    problem = Problem("bad-parameters", rejected.detail)
    if rejected.field:
        problem.extra["field"] = rejected.field
    return problem
