"""An agent in any language: one long-lived child process that reads and writes a JSON object a line."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog
from agent_contract.problems import Problem
from agent_contract.wire import ProblemState
from msgspec import UnsetType

from agent_adapter.agents.agent import Emit
from agent_adapter.agents.child import Child, Launch
from agent_adapter.agents.child_keeper import ChildKeeper
from agent_adapter.agents.child_task import ChildTask
from agent_adapter.agents.context import Context
from agent_adapter.agents.encoding import MAX_RESULT_BYTES, checked
from agent_adapter.agents.json_lines import FromChild, ToChild
from agent_adapter.agents.parameters import JsonSchema, Parameters, Unchecked
from agent_adapter.errors import Rejected

_CANCEL_SECONDS: Final = 5.0
"""How long a child may take to end a task that it was told to cancel; then it gets SIGTERM."""
_EXCERPT: Final = 500

log = structlog.stdlib.get_logger(__name__)


class CommandAgent:
    """Runs tasks in a child process that is started again when it dies."""

    cancels = True
    _greets = False
    _from_child: msgspec.json.Decoder[Any] = msgspec.json.Decoder(FromChild)

    def __init__(
        self,
        launch: Launch,
        *,
        on_change: Callable[[], None],
        on_restart: Callable[[], None],
        schema: dict[str, Any] | None = None,
    ) -> None:
        self.streams = True
        self._program = launch.name
        self._keeper = ChildKeeper(launch, self, greets=self._greets, on_change=on_change, on_restart=on_restart)
        self._parameters: Parameters = JsonSchema(schema) if schema is not None else Unchecked()
        self._tasks: dict[str, ChildTask] = {}

    @property
    def parameters_schema(self) -> dict[str, Any] | None:
        """The configuration's schema."""
        return self._parameters.schema

    @property
    def problem(self) -> ProblemState | None:
        """Why the child is not there, or None."""
        return self._keeper.problem

    async def start(self) -> None:
        """Spawn the child; raises StartFailed when it cannot be."""
        await self._keeper.start()

    async def close(self) -> None:
        """End the child: its stdin is closed, then SIGTERM, then SIGKILL."""
        await self._keeper.close()

    def accept(self, parameters: dict[str, Any]) -> Any:  # noqa: ANN401  # as they came
        """Check the parameters against the configuration's schema; raises Rejected."""
        return self._parameters.accept(parameters)

    async def run(self, parameters: Any, context: Context, emit: Emit) -> bytes:  # noqa: ANN401  # what accept gave
        """Give the child's result; raises Rejected, or Problem `agent-failed`, `agent-crashed`, `result-too-large`.

        When it is cancelled it tells the child, and ends when the child has ended the task or was ended itself.
        """
        child = await self._free_child()
        task = self._tasks[context.task_id] = self._begin(context, child)
        try:
            await child.send(self._request(parameters, context))
            return await self._outcome(task, emit)
        finally:
            try:
                if not task.has_ended:
                    await self._cancel(child, task)
            finally:
                del self._tasks[context.task_id]
                task.let_go()

    # --- what the child says (child_keeper.Owner) ---

    async def hear(self, line: bytes) -> None:
        """Take a line of the child's stdout."""
        try:
            said = self._from_child.decode(line)
            line.decode()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if line.strip():
                self._not_understood(line, Problem("agent-failed", f"cannot read the agent's answer: {_text(line)}"))
            return
        await self._heard(said)

    def misheard(self, excerpt: bytes) -> None:
        """Take the two ends of a line that is too long."""
        self._not_understood(excerpt, Problem("result-too-large", f"the result has more than {MAX_RESULT_BYTES} bytes"))

    def note(self, line: bytes) -> None:
        """Log a line of the child's stderr; whose it is is known when only one task is in the child."""
        facts = self._facts_of(next(iter(self._tasks))) if len(self._tasks) == 1 else {}
        structlog.stdlib.get_logger("child").info(line.decode(errors="replace").rstrip(), **facts)

    def _facts_of(self, task_id: str) -> dict[str, str]:
        """Give what a line about a task carries."""
        task = self._tasks.get(task_id)
        parent = None if task is None else task.context.trace.parent
        return {"task_id": task_id} if parent is None else {"task_id": task_id, "trace_id": parent.trace_id}

    def bereaved(self) -> None:
        """Fail what was in the child."""
        for task in self._tasks.values():
            task.fail(Problem("agent-crashed", "the agent's process ended before it answered", started=True))

    # --- what the worker of `isolation: "process"` does in its own way ---

    def _begin(self, context: Context, _: Child) -> ChildTask:
        return ChildTask(context)

    def _request(self, parameters: Any, context: Context) -> ToChild:  # noqa: ANN401  # what accept gave
        return ToChild(context.task_id, parameters=parameters, traceparent=context.traceparent)

    async def _heard(self, said: FromChild) -> None:
        self._keeper.settled()
        task = self._tasks.get(said.task_id)
        if task is None:
            log.debug("child spoke of a task that is not in hand", task_id=said.task_id)
        else:
            await task.hear(said)

    def _failure(self, error: Any) -> Exception:  # noqa: ANN401  # what a child wrote
        if not isinstance(error, dict):
            return Problem("agent-failed", str(error))
        kind, message = str(error.get("type", "Error")), str(error.get("message", ""))
        if kind == "BadParameters":
            field = error.get("field")
            return Rejected(message, field if isinstance(field, str) else None)
        return Problem("agent-failed", f"{kind}: {message}" if message else kind)

    # --- a task's life ---

    async def _free_child(self) -> Child:
        """Wait for a child in which no cancelled task is still ending.

        One that does not end in time takes the child with it, and with it would go a task that began meanwhile.
        """
        while True:
            child = await self._keeper.living()
            ending = next((task for task in self._tasks.values() if task.context.cancelled), None)
            if ending is None:
                return child
            await ending.over.wait()

    async def _outcome(self, task: ChildTask, emit: Emit) -> bytes:
        while True:
            said = await task.next_word()
            if said.error is not None:
                raise self._failure(said.error)
            if not isinstance(said.chunk, UnsetType):
                task.streamed = True
                await emit(checked(bytes(said.chunk)))
                await task.chunk_taken()
            elif not isinstance(said.result, UnsetType):
                result = checked(bytes(said.result))
                return b"" if task.streamed and result == b"null" else result

    async def _cancel(self, child: Child, task: ChildTask) -> None:
        task.context.cancelled = True
        try:
            async with asyncio.timeout(_CANCEL_SECONDS):
                await child.send(ToChild(task.context.task_id, cancel=True))
                while not task.has_ended:
                    await task.next_word()
        except TimeoutError:
            await self._keeper.terminate(child, f"it did not end task {task.context.task_id} when told to cancel it")
        except Problem:
            log.debug("child is gone", task_id=task.context.task_id)

    def _not_understood(self, line: bytes, problem: Problem) -> None:
        """Fail the task that a line names: nobody would hear its last word again."""
        named = [task for task_id, task in self._tasks.items() if task_id.encode() in line]
        for task in named:
            task.fail(problem)
        log.warning("cannot read what the child said", program=self._program, line=_text(line), tasks=len(named))


def _text(line: bytes) -> str:
    return line[:_EXCERPT].decode(errors="replace")
