"""The log lines of an agent's instances."""

from litestar.params import FromPath
from litestar.response import Stream

from agent_manager.handlers.queries import flag, text, whole_number
from agent_manager.handlers.requests import AnyRequest, manager_of
from agent_manager.handlers.streams import event_stream
from agent_manager.logs import Lines


async def get_logs(request: AnyRequest, agent_id: FromPath[str]) -> Lines | Stream:
    manager, query = manager_of(request), request.query_params
    lines, instance_id = whole_number(query, "lines", 100, 1, 5000), text(query, "instanceId", 128)
    if not flag(query, "follow"):
        return await manager.logs.tail(agent_id, instance_id, lines)
    manager.logs.places(agent_id, instance_id)  # an unknown one is a 404, not an empty stream
    return event_stream(request, manager.logs.follow(agent_id, instance_id, lines))
