"""The fleet as it is, as it changes, and what its instances say of themselves at this moment."""

from agent_contract.problems import Problem
from litestar import Response
from litestar.params import FromPath
from litestar.response import Stream

from agent_manager.configured import Configured, configured
from agent_manager.fleet_queries import Answers
from agent_manager.handlers.queries import flag, text
from agent_manager.handlers.requests import AnyRequest, manager_of
from agent_manager.handlers.streams import event_stream

_JSON = "application/json"


async def list_agents(request: AnyRequest) -> Response[bytes] | Stream:
    listing = manager_of(request).listing
    if flag(request.query_params, "watch"):
        return event_stream(request, listing.watch())
    return Response(listing.whole(), media_type=_JSON)


async def get_agent(request: AnyRequest, agent_id: FromPath[str]) -> Response[bytes]:
    found = manager_of(request).listing.agent(agent_id)
    if found is None:
        raise Problem("unknown-agent", f"there is no agent {agent_id!r}")
    return Response(found, media_type=_JSON)


async def get_status(request: AnyRequest, agent_id: FromPath[str]) -> Answers:
    return await manager_of(request).queries.status(agent_id)


async def get_info(request: AnyRequest, agent_id: FromPath[str]) -> Answers:
    return await manager_of(request).queries.info(agent_id)


async def get_drain(request: AnyRequest, agent_id: FromPath[str]) -> Answers:
    instance_id = text(request.query_params, "instanceId", 128)
    return await manager_of(request).queries.drain(agent_id, instance_id)


async def get_configuration(request: AnyRequest, agent_id: FromPath[str]) -> Configured:
    registry = manager_of(request).registry
    record = registry.find(agent_id)
    if record is None:
        raise Problem("unknown-agent", f"there is no agent {agent_id!r}")
    return configured(record, registry.timing.drain_timeout_seconds)


async def follow_events(request: AnyRequest) -> Stream:
    journal = manager_of(request).journal
    return event_stream(request, journal.follow(request.headers.get("last-event-id")))
