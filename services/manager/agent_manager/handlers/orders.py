"""Orders: actions, and the steering of drains."""

import msgspec
from agent_contract.tracing.names import ACTION
from agent_contract.wire import AgentActionRequest, DrainPatch
from litestar import Response
from litestar.params import FromPath
from msgspec import Struct

from agent_manager.actions import ANYWHERE, ActionView, Ordered, merged
from agent_manager.drains import SteeredDrain
from agent_manager.handlers.auditing import tell
from agent_manager.handlers.passing_on import listed_elsewhere, ordered_elsewhere, read_order, seen_elsewhere
from agent_manager.handlers.queries import text
from agent_manager.handlers.requests import AnyRequest, caller_of, manager_of
from agent_manager.handlers.spans import traced

_ACTION = msgspec.json.Decoder(AgentActionRequest)
_DRAIN_PATCH = msgspec.json.Decoder(DrainPatch)


class ActionList(Struct, frozen=True):
    """An agent's actions, the last one first."""

    actions: list[ActionView]


class SteeredDrains(Struct, frozen=True):
    """The drains that were steered."""

    instances: list[SteeredDrain]


async def order_action(request: AnyRequest, agent_id: FromPath[str]) -> Response[Ordered] | Response[bytes]:
    (order, body), by = await read_order(request, _ACTION), caller_of(request).name
    tell(request, deed=order.action, **({"instance_id": order.instance_id} if order.instance_id else {}))
    elsewhere = await ordered_elsewhere(request, body, anywhere=order.action in ANYWHERE)
    if elsewhere is not None:
        return elsewhere
    with traced(request, "/api/agent-services/{id}/action", 202) as span:
        span.set({ACTION: order.action})
        ordered = await manager_of(request).actions.order(agent_id, order, by)
    tell(request, action_id=ordered.action_id)
    location = f"/api/agent-services/{agent_id}/actions/{ordered.action_id}"
    return Response(ordered, status_code=202, headers={"Location": location})


async def list_actions(request: AnyRequest, agent_id: FromPath[str]) -> ActionList:
    actions, there = manager_of(request).actions, await listed_elsewhere(request, ActionList)
    if there is None:
        return ActionList([action.view() for action in actions.list_actions(agent_id)])
    return ActionList(merged([action.view() for action in actions.kept(agent_id)], there.actions))


async def get_action(
    request: AnyRequest, agent_id: FromPath[str], action_id: FromPath[str]
) -> ActionView | Response[bytes]:
    actions = manager_of(request).actions
    known = actions.peek(agent_id, action_id)
    elsewhere = await seen_elsewhere(request) if known is None else None
    return elsewhere or actions.find(agent_id, action_id).view()


async def move_drain(request: AnyRequest, agent_id: FromPath[str]) -> SteeredDrains | Response[bytes]:
    patch, body = await read_order(request, _DRAIN_PATCH)
    elsewhere = await ordered_elsewhere(request, body, anywhere=True)
    if elsewhere is not None:
        return elsewhere
    instance_id, by = text(request.query_params, "instanceId", 128), caller_of(request).name
    drains = manager_of(request).drains
    return SteeredDrains(await drains.reschedule(agent_id, instance_id, patch.timeout_seconds, by))


async def call_drain_off(request: AnyRequest, agent_id: FromPath[str]) -> SteeredDrains | Response[bytes]:
    elsewhere = await ordered_elsewhere(request, anywhere=True)
    if elsewhere is not None:
        return elsewhere
    instance_id, by = text(request.query_params, "instanceId", 128), caller_of(request).name
    return SteeredDrains(await manager_of(request).drains.call_off(agent_id, instance_id, by))
