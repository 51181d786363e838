"""Event streams that the manager itself sends: kept alive, ended when it leaves."""

from collections.abc import AsyncIterator
from typing import Final

from agent_contract.http_connection import FOLLOWER
from agent_contract.sse import STREAM_HEADERS, ended_by, with_heartbeat
from litestar.response import Stream

from agent_manager.handlers.requests import AnyRequest, manager_of

_HEADERS: Final = {name.decode(): value.decode() for name, value in STREAM_HEADERS}


def event_stream(request: AnyRequest, events: AsyncIterator[bytes]) -> Stream:
    """Give the answer that sends these events, a comment in each 15 s of silence, until its reader or we leave."""
    follow = (request.scope.get("extensions") or {}).get(FOLLOWER)
    if callable(follow):
        follow()
    leaving = manager_of(request).readiness.leaving
    return Stream(ended_by(leaving, with_heartbeat(events)), headers=_HEADERS)
