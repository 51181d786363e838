"""What a forwarded call is answered with: the adapter's answer as it came, or a problem of the manager's own."""

from collections.abc import AsyncIterator, Callable
from typing import Final

from agent_contract.identity import is_uuid
from agent_contract.problems import MEDIA_TYPE, REFUSED_HEADER, Problem
from msgspec import Struct

from agent_manager.agent_client import Chunks, Response

Headers = list[tuple[bytes, bytes]]

REFUSED: Final = REFUSED_HEADER.lower().encode()
TASK_ID: Final = b"x-task-id"
_INSTANCE: Final = b"x-agent-instance"
_LOCATION: Final = b"location"
_TASKS: Final = b"/tasks/"
"""Where alone an adapter may send its caller, to a task of its own: it becomes a path of the manager."""
_CROSSING: Final = frozenset(
    (
        b"accept",
        b"allow",
        b"cache-control",
        b"content-encoding",
        b"content-language",
        b"content-type",
        b"preference-applied",
        b"retry-after",
        b"traceparent",
        b"tracestate",
        b"x-accel-buffering",
        TASK_ID,
        REFUSED,
    )
)
"""An adapter's headers that mean something to the client; hop-by-hop ones and what is new to us stay behind."""


class Stream:
    """An event stream as it comes from an instance. Whoever has one closes it."""

    def __init__(self, chunks: Chunks, on_end: Callable[[], None]) -> None:
        self._chunks = chunks
        self._on_end = on_end

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def aclose(self) -> None:
        """Leave: the instance sees its reader go, if the stream has not ended."""
        await self._chunks.aclose()
        self._on_end()


class Answer(Struct, frozen=True):
    """A status, the headers without the length, and the body: whole, or a stream that is still coming."""

    status: int
    headers: Headers
    body: bytes = b""
    stream: Stream | None = None
    refusal: str | None = None
    """The code of an adapter's refusal: no work began."""
    problem: Problem | None = None
    """Where the manager itself answers."""

    def header(self, name: bytes) -> bytes | None:
        """Give the value of a header, or None."""
        return next((value for key, value in self.headers if key == name), None)


def relayed(
    response: Response, agent_id: str, instance_id: str, task_id: str, on_end: Callable[[], None] | None = None
) -> Answer:
    """Give an instance's answer byte for byte, with the headers that matter and those that say who answered.

    The instance names the task itself where an idempotency key led to an earlier one. `on_end` is called when a stream
    is over.
    """
    headers = [(_INSTANCE, instance_id.encode())]
    named = False
    refusal = None
    for name, value in response.headers:
        if name in _CROSSING:
            headers.append((name, value))
            if name == TASK_ID:
                named = True
            elif name == REFUSED:
                refusal = value.decode("latin-1")
        elif name == _LOCATION and value.startswith(_TASKS) and is_uuid(value[len(_TASKS) :].decode("latin-1")):
            headers.append((name, b"/api/agent-services/%b%b" % (agent_id.encode(), value)))
    if not named:
        headers.append((TASK_ID, task_id.encode()))
    stream = None if response.stream is None or on_end is None else Stream(response.stream, on_end)
    return Answer(response.status, headers, response.body, stream, refusal)


def of_problem(problem: Problem, *, instance_id: str | None = None, task_id: str | None = None) -> Answer:
    """Give a problem of the manager's own as an answer."""
    headers = [(b"content-type", MEDIA_TYPE)]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in problem.headers.items()]
    if instance_id is not None:
        headers.append((_INSTANCE, instance_id.encode()))
    if task_id is not None:
        headers.append((TASK_ID, task_id.encode()))
    return Answer(problem.status, headers, problem.body(), problem=problem)


def unavailable(detail: str, *, retry_after_seconds: int = 1) -> Problem:
    """Give the 503 of a call on which no work began."""
    return Problem("unavailable", detail, headers={"Retry-After": str(retry_after_seconds)}, started=False)


def outcome_unknown(task_id: str, detail: str, *, status: int = 502) -> Problem:
    """Give the problem of a call that may have started and whose answer is lost."""
    return Problem("outcome-unknown", detail, status=status, outcome="unknown", taskId=task_id)
