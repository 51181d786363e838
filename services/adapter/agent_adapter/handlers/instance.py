"""What an instance says of itself, and the orders that it obeys."""

import msgspec
from agent_contract.problems import Problem
from agent_contract.wire import ActionRequest, Drain, DrainPatch, Info, Status
from litestar import Response, delete, get, patch, post
from litestar.datastructures import State
from msgspec import UNSET

from agent_adapter.handlers.bodies import read_json
from agent_adapter.handlers.queries import AnyRequest

_ACTION = msgspec.json.Decoder(ActionRequest)
_DRAIN_PATCH = msgspec.json.Decoder(DrainPatch)


@get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@get("/ready")
async def ready(state: State) -> dict[str, str]:
    status = state.adapter.views.status()
    if status.status != "running":
        raise Problem("unavailable", f"the instance is {status.status}", state=status.status)
    if status.problem is not None:
        raise Problem(status.problem.code, status.problem.detail, status=503)
    return {"status": "ready"}


@get("/info")
async def info(state: State) -> Info:
    found: Info = state.adapter.views.info()
    return found


@get("/status")
async def status(state: State) -> Status:
    found: Status = state.adapter.views.status()
    return found


@post("/action", status_code=202)
async def action(request: AnyRequest, state: State) -> Status:
    order = await read_json(request, _ACTION)
    timeout = None if order.timeout_seconds is UNSET else order.timeout_seconds
    state.adapter.lifecycle.act(order.action, timeout)
    found: Status = state.adapter.views.status()
    return found


@get("/drain")
async def drain(state: State) -> Drain:
    found: Drain = state.adapter.views.drain()
    return found


@patch("/drain")
async def steer_drain(request: AnyRequest, state: State) -> Drain:
    state.adapter.lifecycle.reschedule((await read_json(request, _DRAIN_PATCH)).timeout_seconds)
    found: Drain = state.adapter.views.drain()
    return found


@delete("/drain", status_code=200)
async def call_drain_off(state: State) -> Drain:
    state.adapter.lifecycle.call_off()
    found: Drain = state.adapter.views.drain()
    return found


@get("/metrics")
async def metrics(request: AnyRequest, state: State) -> Response[bytes]:
    content_type, page = await state.adapter.metrics.page.render(request.headers.get("accept", ""))
    return Response(page, headers={"content-type": content_type, "vary": "accept"})
