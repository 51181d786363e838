"""`POST /api/agent-services/{id}/execute`: the hot path. Bytes are relayed, nothing of them is decoded."""

import asyncio
import contextlib
from typing import Final

import structlog
from agent_contract.asgi import Disconnected, Receive, content_length, read_body, send_answer
from agent_contract.http_connection import GONE
from agent_contract.identity import new_id
from agent_contract.problems import Problem
from agent_contract.sse import encode_event
from agent_contract.tracing import Span, names
from agent_contract.tracing.http import answered, request_attributes

from agent_manager import attempts
from agent_manager.agent_client import CallError
from agent_manager.answers import Answer, Stream, outcome_unknown
from agent_manager.forward import Forward
from agent_manager.forwarded_headers import forwarded_headers
from agent_manager.handlers.raw import Raw
from agent_manager.handlers.requests import until_left
from agent_manager.idempotency import read_key

CLIENT_LEFT: Final = 499
"""What nginx calls a client that went before its answer: no status that is ever sent."""
_FAILED: Final = 500
_ROUTE: Final = "/api/agent-services/{id}/execute"
_SPAN: Final = f"POST {_ROUTE}"

log = structlog.stdlib.get_logger(__name__)


async def execute(request: Raw) -> None:
    """Forward the call and answer with what came of it."""
    manager, agent_id = request.manager, request.scope["path_params"]["agent_id"]
    began_at, code, call, answer = manager.clock(), _FAILED, None, None
    span = manager.tracing.server(_SPAN, request.scope["headers"])
    try:
        call = await _call(request, span, agent_id, began_at)
        answer = await manager.dispatcher.execute(call)
        code = await _answer(request, call, answer)
    except Disconnected:
        code = CLIENT_LEFT
    except Problem as problem:
        code = problem.status
        raise
    finally:
        known = agent_id if agent_id in manager.registry.agents else ""
        manager.metrics.forwarded(known, code, manager.clock() - began_at, span.sampled_trace_id)
        if code >= _FAILED and call is not None and (answer is None or answer.refusal is None):
            _log_failure(call, code, answer)
        if span.recording:
            _end(request, span, call, code)


async def _call(request: Raw, span: Span, agent_id: str, now: float) -> Forward:
    manager, headers = request.manager, request.headers
    limit = manager.max_body_bytes(agent_id)
    body = await read_body(request.receive, limit, content_length(headers.get(b"content-length")))
    task_id = new_id()
    return Forward(
        agent_id=agent_id,
        task_id=task_id,
        headers=span.onward(forwarded_headers(request.scope["headers"], task_id=task_id, caller=request.caller.name)),
        body=body,
        arrived_at=now,
        left=until_left(request.receive),
        proof=manager.proofs.headers,
        key=read_key(headers.get(b"idempotency-key")),
        span=span,
    )


async def _answer(request: Raw, call: Forward, answer: Answer) -> int:
    """Send the answer; gives the status to count, which is 499 where nobody was there to take it."""
    if answer.stream is not None:
        return await _relay(request, call, answer, answer.stream)
    gone = (request.scope.get("extensions") or {}).get(GONE)
    if gone is not None and gone():
        return CLIENT_LEFT
    await send_answer(request.send, answer.status, answer.headers, answer.body)
    return answer.status


async def _relay(request: Raw, call: Forward, answer: Answer, stream: Stream) -> int:
    """Pass a stream on as it comes; its reader's end is the instance's at once, a break is told as an event."""
    send, code = request.send, answer.status
    async with contextlib.aclosing(stream):
        watcher = asyncio.create_task(_close_when_left(request.receive, stream))
        try:
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
            async for piece in stream:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except CallError as error:
            code = 502
            attempts.failed(call.attempt, error)
            problem = outcome_unknown(call.task_id, f"the stream of {call.agent_id} broke: {error}")
            broken = b"\n\n" + encode_event("error", problem.body())
            await send({"type": "http.response.body", "body": broken, "more_body": True})
        finally:
            watcher.cancel()
    await send({"type": "http.response.body", "body": b""})
    return CLIENT_LEFT if watcher.done() and not watcher.cancelled() else code


async def _close_when_left(receive: Receive, stream: Stream) -> None:
    await until_left(receive)()
    await stream.aclose()


def _log_failure(call: Forward, code: int, answer: Answer | None) -> None:
    facts = {"agent": call.agent_id, "task_id": call.task_id, "status": code, **call.span.ids}
    if call.instance is not None:
        facts["instance_id"] = call.instance.instance_id
    if answer is not None and answer.problem is not None:
        facts.update(code=answer.problem.code, detail=answer.problem.detail)
    log.warning("forwarded call failed", **facts)


def _end(request: Raw, span: Span, call: Forward | None, code: int) -> None:
    span.set(request_attributes(request.scope, _ROUTE))
    if request.caller.name is not None:
        span.set({names.CALLER: request.caller.name})
    if call is not None:
        span.set({names.TASK_ID: call.task_id})
    if code == CLIENT_LEFT:
        span.fail("client-left")  # nothing was answered, so there is no status
    else:
        answered(span, code)
    span.end()
