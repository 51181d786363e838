"""The console's page, what it is made of, and what keeps it up to date."""

from typing import Any, Final

import msgspec
from agent_contract.problems import Problem
from litestar import Response
from litestar.params import FromPath
from litestar.response import Stream
from msgspec import Struct

from agent_manager.console.assets import console
from agent_manager.console.feed import bye
from agent_manager.handlers.errors import on_problem
from agent_manager.handlers.queries import text, whole_number
from agent_manager.handlers.requests import AnyRequest, manager_of
from agent_manager.handlers.streams import event_stream
from agent_manager.journal import KEPT

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types lit-html console"
)
"""No code and no style but from our own files, and no text is ever parsed as HTML: the templates of lit-html are, and
the address of the worker is the one other thing that a script may make trusted."""
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"


class Event(Struct, rename="camel", frozen=True, omit_defaults=True):
    """What happened, as `GET /api/events` tells it, with its kind and its id."""

    id: str
    kind: str
    time: str
    agent: str
    code: str
    message: str
    instance_id: str | None = None
    by: str | None = None


class Events(Struct, frozen=True):
    """The last events, oldest first."""

    events: list[Event]


async def page() -> Response[str]:
    return Response(console().page, media_type="text/html", headers=_HEADERS)


def sign_in_page(request: AnyRequest, problem: Problem) -> Response[Any]:
    """Let a browser that is not signed in ask for a key: the page itself holds no fact. Programs get the problem."""
    if problem.code != "unauthenticated" or "text/html" not in request.headers.get("accept", ""):
        return on_problem(request, problem)
    headers = {**_HEADERS, **problem.headers}
    return Response(console().page, status_code=problem.status, media_type="text/html", headers=headers)


async def console_asset(request: AnyRequest, version: FromPath[str], path: FromPath[str]) -> Response[bytes]:
    made = console()
    found = made.assets.get(str(path).lstrip("/")) if version == made.version else None
    if found is None:
        raise Problem("not-found", f"the console's version is {made.version}: load the page again")
    headers = {
        "ETag": found.etag,
        "Cache-Control": _FOR_EVER,
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if request.headers.get("if-none-match") == found.etag:
        return Response(b"", status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.gzipped, media_type=found.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(found.body, media_type=found.media_type, headers=headers)


async def follow_console(request: AnyRequest) -> Stream:
    feed = manager_of(request).feed
    return event_stream(request, feed.follow(request.headers.get("last-event-id")), bye)


async def list_events(request: AnyRequest) -> Events:
    query = request.query_params
    agent, limit = text(query, "agent", 63), whole_number(query, "limit", 100, 1, KEPT)
    return Events([_event(frame) for frame in manager_of(request).journal.recent(limit, agent)])


def _event(frame: bytes) -> Event:
    head, kind, data = frame.decode().split("\n")[:3]
    members: dict[str, Any] = msgspec.json.decode(data.removeprefix("data: "))
    return msgspec.convert(
        {"id": head.removeprefix("id: "), "kind": kind.removeprefix("event: "), **members}, Event, strict=False
    )
