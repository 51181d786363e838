"""`POST /execute`: the hot path. The body is decoded once, the result is relayed as the bytes that the agent gave."""

import asyncio
import hashlib
from typing import Final

import msgspec
from agent_contract.asgi import (
    Disconnected,
    Receive,
    Scope,
    Send,
    content_length,
    decode_request,
    read_body,
    send_problem,
)
from agent_contract.http_connection import GONE
from agent_contract.identity import is_uuid, new_id
from agent_contract.problems import Problem
from agent_contract.tracing import Span
from agent_contract.tracing.http import request_attributes, watched
from agent_contract.tracing.names import TASK_ID
from agent_contract.wire import ExecuteRequest
from litestar import asgi

from agent_adapter.adapter import Adapter
from agent_adapter.handlers.bodies import check_content_type
from agent_adapter.handlers.outcome import send_accepted, send_outcome, task_id_header
from agent_adapter.handlers.stream import CHUNKS_WAITING, cancelled_when_left, send_events
from agent_adapter.tasks import Key, Task

_DECODER: Final = msgspec.json.Decoder(ExecuteRequest)
_LONGEST_KEY: Final = 255

Headers = dict[bytes, bytes]
_ROUTE: Final = "/execute"


@asgi(_ROUTE, copy_scope=False)
async def execute(scope: Scope, receive: Receive, send: Send) -> None:
    """Run a task and answer with its result, its stream, or, for `Prefer: respond-async`, its id."""
    adapter: Adapter = scope["litestar_app"].state.adapter
    span = adapter.tracing.server("POST /execute", scope["headers"])
    if not span.recording:
        await _execute(adapter, span, scope, receive, send)
        return
    span.set(request_attributes(scope, _ROUTE))
    try:
        await _execute(adapter, span, scope, receive, watched(send, span))
    finally:
        span.end()


async def _execute(adapter: Adapter, span: Span, scope: Scope, receive: Receive, send: Send) -> None:
    headers: Headers = dict(scope["headers"])
    try:
        _check_method(scope["method"])
        task = await _task(adapter, span, headers, receive)
    except Problem as problem:
        await send_problem(send, problem)
        return
    except Disconnected:
        return
    await _serve(adapter, task, headers, scope, receive, send)


async def _task(adapter: Adapter, span: Span, headers: Headers, receive: Receive) -> Task:
    check_content_type(headers.get(b"content-type"))
    declared = content_length(headers.get(b"content-length"))
    body = await read_body(receive, adapter.settings.max_body_bytes, declared)
    request = decode_request(body, _DECODER)
    given = headers.get(b"x-task-id", b"").decode("latin-1")
    fresh = is_uuid(given) and adapter.execution.table.find(given) is None
    caller = headers.get(b"x-agent-caller")
    task_id = given if fresh else new_id()
    if span.recording:
        span.set({TASK_ID: task_id})
    return Task(
        task_id,
        request.parameters,
        adapter.clock(),
        awaited=not _wants_async(headers.get(b"prefer")),
        caller=caller.decode("latin-1") if caller else None,
        key=_key(headers.get(b"idempotency-key"), body),
        span=span,
    )


async def _serve(adapter: Adapter, task: Task, headers: Headers, scope: Scope, receive: Receive, send: Send) -> None:
    chunks: asyncio.Queue[bytes] | None = None
    if task.awaited and b"text/event-stream" in headers.get(b"accept", b""):
        chunks = asyncio.Queue(CHUNKS_WAITING)
        task.emit = chunks.put
    try:
        taken = adapter.execution.submit(task)
    except Problem as problem:
        adapter.metrics.refused(problem.code)
        await send_problem(send, problem, [task_id_header(task)])
        return
    if not task.awaited:
        await send_accepted(taken, send)
    elif chunks is None:
        await taken.done.wait()
        await _answer(taken, scope, send)
    else:
        async with cancelled_when_left(adapter.execution, taken, receive):
            await _stream(taken, chunks, scope, send)


async def _stream(task: Task, chunks: "asyncio.Queue[bytes]", scope: Scope, send: Send) -> None:
    """Answer with events; with a plain problem where the task never began."""
    await task.may_run()
    if task.outcome is None or task.outcome == "succeeded":
        await send_events(task, chunks, send)
        task.fetched = not _gone(scope)
        await send({"type": "http.response.body", "body": b""})
    else:
        await _answer(task, scope, send)


async def _answer(task: Task, scope: Scope, send: Send) -> None:
    """Answer for a task that has ended; one whose caller has gone stays unfetched, for whoever asks by its id."""
    task.fetched = task.fetched or not _gone(scope)
    await send_outcome(task, send)


def _gone(scope: Scope) -> bool:
    gone = (scope.get("extensions") or {}).get(GONE)
    return gone is not None and bool(gone())


def _check_method(method: str) -> None:
    if method != "POST":
        raise Problem("method-not-allowed", f"{method} is not for /execute", headers={"Allow": "POST"})


def _wants_async(prefer: bytes | None) -> bool:
    if prefer is None:
        return False
    return any(part.partition(b";")[0].strip().lower() == b"respond-async" for part in prefer.split(b","))


def _key(value: bytes | None, body: bytes) -> Key | None:
    if value is None:
        return None
    text = value.decode("latin-1").strip()
    if not 1 <= len(text) <= _LONGEST_KEY or not text.isprintable():
        detail = f"an Idempotency-Key has 1 to {_LONGEST_KEY} printable characters"
        raise Problem("bad-request", detail, field="Idempotency-Key")
    return Key(text, hashlib.sha256(body).digest())
