"""The tail of this agent's log file, and its new lines as they come."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from agent_contract.http_connection import FOLLOWER
from agent_contract.problems import Problem
from agent_contract.sse import STREAM_HEADERS, encode_event, ended_by, with_heartbeat
from agent_contract.tail import follow, read_tail
from litestar import Response, get
from litestar.datastructures import State
from litestar.response import Stream

from agent_adapter.adapter import Adapter
from agent_adapter.handlers.queries import AnyRequest, flag, whole_number


@get("/logs")
async def logs(request: AnyRequest, state: State) -> Response[dict[str, list[str]]] | Stream:
    adapter: Adapter = state.adapter
    lines, following = whole_number(request, "lines", 100, 1, 5000), flag(request, "follow")
    path = adapter.settings.log_file
    try:
        tail = await asyncio.to_thread(read_tail, path, lines)
    except OSError as error:
        raise Problem("logs-unavailable", f"cannot read {path}: {error.strerror}") from error
    if not following:
        return Response({"lines": tail})
    extensions: dict[str, Any] = request.scope.get("extensions") or {}
    if FOLLOWER in extensions:
        extensions[FOLLOWER]()

    async def events() -> AsyncIterator[bytes]:
        async for line in follow(path, lines):
            yield encode_event("line", msgspec.json.encode(line))

    stream = ended_by(adapter.leaving, with_heartbeat(events()))
    return Stream(stream, headers={name.decode(): value.decode() for name, value in STREAM_HEADERS})
