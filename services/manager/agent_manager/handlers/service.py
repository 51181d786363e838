"""The manager itself: alive, ready, its version, its metrics, what Prometheus may scrape."""

from typing import Any
from urllib.parse import parse_qsl

from agent_manager.handlers.queries import choice
from agent_manager.handlers.raw import Raw
from agent_manager.handlers.requests import AnyRequest, manager_of
from agent_manager.manager import Target, Version
from agent_manager.metrics import negotiated


async def health() -> dict[str, str]:
    return {"status": "ok"}


async def ready(request: AnyRequest) -> dict[str, Any]:
    return {"status": "ready", "stale": manager_of(request).readiness.check()}


async def version(request: AnyRequest) -> Version:
    return manager_of(request).version()


async def targets(request: AnyRequest) -> list[Target]:
    return manager_of(request).targets()


async def metrics(request: Raw) -> None:
    query = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
    carried = choice(query, "scope", ("self", "all")) != "self"
    form = negotiated(*(request.headers.get(name, b"").decode("latin-1") for name in (b"accept", b"accept-encoding")))
    if carried:
        await request.manager.scrapes.ask()
    await request.send({"type": "http.response.start", "status": 200, "headers": form.headers})
    async for piece in request.manager.metrics.page(form, carried=carried):
        await request.send({"type": "http.response.body", "body": piece, "more_body": True})
    await request.send({"type": "http.response.body", "body": b""})
