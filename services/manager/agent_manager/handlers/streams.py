"""Event streams that the manager itself sends: kept alive, ended when it leaves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from agent_contract.http_connection import FOLLOWER
from agent_contract.sse import STREAM_HEADERS, with_heartbeat
from litestar.response import Stream

from agent_manager.handlers.requests import AnyRequest, manager_of

_HEADERS: Final = {name.decode(): value.decode() for name, value in STREAM_HEADERS}


def event_stream(request: AnyRequest, events: AsyncIterator[bytes]) -> Stream:
    """Give the answer that sends these events, a comment in each 15 s of silence, until its reader or we leave."""
    follow = (request.scope.get("extensions") or {}).get(FOLLOWER)
    if callable(follow):
        follow()
    leaving = manager_of(request).readiness.leaving
    return Stream(_until(leaving, with_heartbeat(events)), headers=_HEADERS)


async def _until(leaving: asyncio.Event, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give what comes before `leaving` is set."""
    left = asyncio.ensure_future(leaving.wait())
    following = aiter(events)
    try:
        while True:
            coming = asyncio.ensure_future(anext(following, None))
            try:
                await asyncio.wait((coming, left), return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not coming.done():
                    coming.cancel()
                    await asyncio.wait((coming,))
            event = None if coming.cancelled() else coming.result()
            if event is None:
                return
            yield event
    finally:
        left.cancel()
        with contextlib.suppress(RuntimeError):
            await following.aclose()  # type: ignore[attr-defined]  # an async generator
