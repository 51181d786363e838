"""Event streams that the manager itself sends: kept alive, ended when it leaves or their reader may look no more."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

from agent_contract.http_connection import FOLLOWER
from agent_contract.problems import Problem
from agent_contract.sse import STREAM_HEADERS, ended_by, with_heartbeat
from litestar.response import Stream

from agent_manager.access import Who
from agent_manager.handlers.requests import AnyRequest, manager_of

_HEADERS: Final = {name.decode(): value.decode() for name, value in STREAM_HEADERS}
LOOK_SECONDS: Final = 5.0
"""How soon a reader whose key was revoked or whose session is over sees no more; asking costs a hash or two."""


def event_stream(
    request: AnyRequest, events: AsyncIterator[bytes], farewell: Callable[[Problem], bytes] | None = None
) -> Stream:
    """Give the answer that sends these events, a comment in each 15 s of silence, until its reader or we leave.

    It ends too when a viewer's credentials of this request are not good any more, with what `farewell` makes of the
    problem. Without one it just ends: a reader that asks again gets the 401 or 403 that says why.
    """
    follow = (request.scope.get("extensions") or {}).get(FOLLOWER)
    if callable(follow):
        follow()
    manager, headers = manager_of(request), dict(request.scope["headers"])

    def check() -> object:
        return manager.access.check(Who.VIEWER, headers)

    frames = while_allowed(check, with_heartbeat(events), farewell)
    return Stream(ended_by(manager.readiness.leaving, frames), headers=_HEADERS)


async def while_allowed(
    check: Callable[[], object],
    source: AsyncGenerator[bytes, None],
    farewell: Callable[[Problem], bytes] | None = None,
) -> AsyncGenerator[bytes, None]:
    """Give what `source` gives until `check`, asked every five seconds, raises a Problem; then the farewell."""
    refused, problems = asyncio.Event(), list[Problem]()
    looking = asyncio.create_task(_look(check, problems, refused))
    try:
        async with aclosing(ended_by(refused, source)) as frames:
            async for frame in frames:
                if refused.is_set():
                    break  # a slow reader gets no more than what is on its way
                yield frame
        if problems and farewell is not None:
            yield farewell(problems[0])
    finally:
        looking.cancel()
        await asyncio.wait([looking])


async def _look(check: Callable[[], object], problems: list[Problem], refused: asyncio.Event) -> None:
    while not problems:
        await asyncio.sleep(LOOK_SECONDS)  # nothing tells that a file or a session has changed
        try:
            check()
        except Problem as problem:
            problems.append(problem)
    refused.set()
