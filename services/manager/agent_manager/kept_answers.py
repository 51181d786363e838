"""How a result that was handed over is given: as the task that it is, and as the answer of the call that began it."""

import uuid
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from agent_contract.identity import is_uuid
from agent_contract.problems import MEDIA_TYPE, Problem
from agent_contract.sse import STREAM_HEADERS, encode_event
from agent_contract.wire import TaskView
from msgspec import UNSET, Raw

from agent_manager.answers import TASK_ID, Answer, outcome_unknown
from agent_manager.handed_over import Kept

_JSON: Final = (b"content-type", b"application/json")
_TIME_BITS: Final = 80
"""Bits behind the milliseconds of a UUIDv7 (RFC 9562, section 5.7)."""


class _StatusOf(msgspec.Struct):
    status: int = 500


def task_view(kept: Kept, *, whole: bool) -> TaskView:
    """Give the task as its instance would have shown it, or without its result as in a listing."""
    task = kept.task
    return TaskView(
        task_id=task.task_id,
        state=task.state,
        created_at=_made_at(task.task_id) or task.ended_at,
        ended_at=task.ended_at,
        result=task.result if whole else UNSET,
        problem=task.problem if whole else UNSET,
    )


def kept_answer(kept: Kept, *, agent_id: str, headers: dict[bytes, bytes]) -> Answer:
    """Give the answer to a call whose idempotency key began this task, in the form that the call asks for."""
    task_id = kept.task.task_id
    named = [(TASK_ID, task_id.encode()), (b"x-agent-instance", kept.instance_id.encode())]
    if _wants_async(headers.get(b"prefer")):
        location = f"/api/agent-services/{agent_id}/tasks/{task_id}".encode()
        accepted = [*named, _JSON, (b"location", location), (b"preference-applied", b"respond-async")]
        return Answer(202, accepted, msgspec.json.encode({"taskId": task_id}))
    status, body = _outcome(kept)
    succeeded = status == 200  # noqa: PLR2004  # the only one that has a result
    if b"text/event-stream" in headers.get(b"accept", b""):
        return Answer(200, [*named, *STREAM_HEADERS], encode_event("result" if succeeded else "error", body))
    return Answer(status, [*named, _JSON if succeeded else (b"content-type", MEDIA_TYPE)], body)


def _outcome(kept: Kept) -> tuple[int, bytes]:
    task = kept.task
    if isinstance(task.result, Raw):
        members: dict[str, Any] = {"taskId": task.task_id, "result": task.result, "durationSeconds": None}
        return 200, msgspec.json.encode(members)
    if isinstance(task.problem, Raw):
        return msgspec.json.decode(task.problem, type=_StatusOf).status, bytes(task.problem)
    problem: Problem = outcome_unknown(task.task_id, f"task {task.task_id} {task.state}, and its result was dropped")
    return problem.status, problem.body()


def _made_at(task_id: str) -> datetime | None:
    """Give when an id of our making was made."""
    if not is_uuid(task_id) or uuid.UUID(task_id).version != 7:  # noqa: PLR2004  # the version that carries a time
        return None
    return datetime.fromtimestamp((uuid.UUID(task_id).int >> _TIME_BITS) / 1000, UTC)


def _wants_async(prefer: bytes | None) -> bool:
    parts = (prefer or b"").split(b",")
    return any(part.partition(b";")[0].strip().lower() == b"respond-async" for part in parts)
