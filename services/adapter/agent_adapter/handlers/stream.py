"""A task's answer as an event stream: its chunks as they come, then its result or its problem."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from agent_contract.asgi import Receive, Send
from agent_contract.problems import Problem
from agent_contract.sse import STREAM_HEADERS, encode_event, with_heartbeat

from agent_adapter.execution import Execution
from agent_adapter.handlers.outcome import task_id_header, unavailable_result
from agent_adapter.tasks import Task

CHUNKS_WAITING: Final = 64
"""Chunks that may wait for a stream's reader; then the agent waits."""


@contextlib.asynccontextmanager
async def cancelled_when_left(execution: Execution, task: Task, receive: Receive) -> AsyncIterator[None]:
    """Cancel the task, running or still waiting, when its reader leaves: nobody else would read its chunks."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        with contextlib.suppress(Problem):  # it has ended meanwhile
            execution.cancel(task.task_id)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


async def send_events(task: Task, chunks: "asyncio.Queue[bytes]", send: Send) -> None:
    """Answer with the events of a task that runs, or has succeeded; the answer's end is the caller's to send."""
    headers = [*STREAM_HEADERS, task_id_header(task)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async with contextlib.aclosing(with_heartbeat(_frames(task, chunks))) as frames:
        async for frame in frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})


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
    problem = task.problem or unavailable_result(task)
    if problem is not None:
        yield encode_event("error", problem.body())
    else:
        yield encode_event("result", task.result_body())
