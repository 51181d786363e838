"""`POST /execute`: the hot path. The body is decoded once, the result is relayed as the bytes that the agent gave."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
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
    send_answer,
    send_problem,
)
from agent_contract.identity import is_uuid, new_id
from agent_contract.problems import Problem
from agent_contract.sse import STREAM_HEADERS, encode_event, with_heartbeat
from agent_contract.wire import ExecuteRequest
from litestar import asgi

from agent_adapter.adapter import Adapter
from agent_adapter.tasks import Key, Task

_DECODER: Final = msgspec.json.Decoder(ExecuteRequest)
_JSON: Final = (b"content-type", b"application/json")
_CHUNKS_WAITING: Final = 64
"""Chunks that may wait for a stream's reader; then the agent waits."""
_LONGEST_KEY: Final = 255

Headers = dict[bytes, bytes]


@asgi("/execute", copy_scope=False)
async def execute(scope: Scope, receive: Receive, send: Send) -> None:
    """Run a task and answer with its result, its stream, or, for `Prefer: respond-async`, its id."""
    adapter: Adapter = scope["litestar_app"].state.adapter
    headers: Headers = dict(scope["headers"])
    try:
        _check_method(scope["method"])
        task = await _task(adapter, headers, receive)
    except Problem as problem:
        await send_problem(send, problem)
        return
    except Disconnected:
        return
    await _serve(adapter, task, headers, receive, send)


async def _task(adapter: Adapter, headers: Headers, receive: Receive) -> Task:
    _check_content_type(headers.get(b"content-type"))
    declared = content_length(headers.get(b"content-length"))
    body = await read_body(receive, adapter.settings.max_body_bytes, declared)
    request = decode_request(body, _DECODER)
    given = headers.get(b"x-task-id", b"").decode("latin-1")
    fresh = is_uuid(given) and adapter.execution.table.find(given) is None
    caller = headers.get(b"x-agent-caller")
    return Task(
        given if fresh else new_id(),
        request.parameters,
        adapter.clock(),
        awaited=not _wants_async(headers.get(b"prefer")),
        caller=caller.decode("latin-1") if caller else None,
        key=_key(headers.get(b"idempotency-key"), body),
        traceparent=_text(headers.get(b"traceparent")),
    )


async def _serve(adapter: Adapter, task: Task, headers: Headers, receive: Receive, send: Send) -> None:
    chunks: asyncio.Queue[bytes] | None = None
    if task.awaited and b"text/event-stream" in headers.get(b"accept", b""):
        chunks = asyncio.Queue(_CHUNKS_WAITING)
        task.emit = chunks.put
    try:
        taken = adapter.execution.submit(task)
    except Problem as problem:
        adapter.metrics.refused(problem.code)
        await send_problem(send, problem, [_task_id(task)])
        return
    if not task.awaited:
        await _send_accepted(send, taken)
        return
    if chunks is not None:
        await taken.may_run()
        if taken.outcome is None or taken.outcome == "succeeded":
            await _stream(adapter, taken, chunks, receive, send)
            return
    await taken.done.wait()
    taken.fetched = True
    if taken.problem is not None:
        await send_problem(send, taken.problem, [_task_id(taken)])
    elif taken.result_dropped:
        await send_problem(send, _dropped(taken), [_task_id(taken)])
    else:
        await send_answer(send, 200, [_JSON, _task_id(taken)], taken.result_body())


async def _send_accepted(send: Send, task: Task) -> None:
    headers = [
        _JSON,
        _task_id(task),
        (b"location", f"/tasks/{task.task_id}".encode()),
        (b"preference-applied", b"respond-async"),
    ]
    await send_answer(send, 202, headers, msgspec.json.encode({"taskId": task.task_id}))


async def _stream(adapter: Adapter, task: Task, chunks: "asyncio.Queue[bytes]", receive: Receive, send: Send) -> None:
    headers = [*STREAM_HEADERS, _task_id(task)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    watcher = asyncio.create_task(_cancel_when_left(adapter, task, receive))
    try:
        async with contextlib.aclosing(with_heartbeat(_frames(task, chunks))) as frames:
            async for frame in frames:
                await send({"type": "http.response.body", "body": frame, "more_body": True})
        task.fetched = True
        await send({"type": "http.response.body", "body": b""})
    finally:
        watcher.cancel()


async def _frames(task: Task, chunks: "asyncio.Queue[bytes]") -> AsyncIterator[bytes]:
    ended = asyncio.ensure_future(task.done.wait())
    try:
        while not (ended.done() and chunks.empty()):
            chunk = asyncio.ensure_future(chunks.get())
            await asyncio.wait({chunk, ended}, return_when=asyncio.FIRST_COMPLETED)
            if chunk.done():
                yield encode_event("chunk", chunk.result())
            else:
                chunk.cancel()
    finally:
        ended.cancel()
    if task.problem is not None:
        yield encode_event("error", task.problem.body())
    elif task.result_dropped:
        yield encode_event("error", _dropped(task).body())
    else:
        yield encode_event("result", task.result_body())


async def _cancel_when_left(adapter: Adapter, task: Task, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    with contextlib.suppress(Problem):
        adapter.execution.cancel(task.task_id)


def _check_method(method: str) -> None:
    if method != "POST":
        raise Problem("method-not-allowed", f"{method} is not for /execute", headers={"Allow": "POST"})


def _check_content_type(value: bytes | None) -> None:
    if value is None or value.partition(b";")[0].strip().lower() == b"application/json":
        return
    detail = f"cannot read {value.decode('latin-1')!r}: send application/json"
    raise Problem("unsupported-media-type", detail, headers={"Accept": "application/json"})


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


def _dropped(task: Task) -> Problem:
    detail = f"task {task.task_id} succeeded, but its result was dropped to bound memory"
    return Problem("outcome-unknown", detail, outcome="unknown", taskId=task.task_id)


def _text(value: bytes | None) -> str | None:
    return value.decode("latin-1") if value else None


def _task_id(task: Task) -> tuple[bytes, bytes]:
    return (b"x-task-id", task.task_id.encode())
