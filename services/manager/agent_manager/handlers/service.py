"""The manager itself: alive, ready, its version, its metrics, what Prometheus may scrape."""

from typing import Any

from litestar import Response

from agent_manager.handlers.queries import choice
from agent_manager.handlers.requests import AnyRequest, manager_of
from agent_manager.manager import Target, Version
from agent_manager.metrics import exposition


async def health() -> dict[str, str]:
    return {"status": "ok"}


async def ready(request: AnyRequest) -> dict[str, Any]:
    return {"status": "ready", "stale": manager_of(request).readiness.check()}


async def version(request: AnyRequest) -> Version:
    return manager_of(request).version()


async def targets(request: AnyRequest) -> list[Target]:
    return manager_of(request).targets()


async def metrics(request: AnyRequest) -> Response[bytes]:
    choice(request.query_params, "scope", ("self", "all"))
    counted = manager_of(request).metrics
    counted.show_known_agents()
    headers, body = exposition(
        counted.registry, request.headers.get("accept", ""), request.headers.get("accept-encoding", "")
    )
    return Response(body, headers=headers)
