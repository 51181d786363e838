"""What adapters say: who they are, how they are, what they hand over, that they leave."""

import msgspec
from agent_contract.wire import HandOver, Heartbeat, Registration, Unregistration

from agent_manager.handlers.auditing import FACTS
from agent_manager.handlers.raw import Raw
from agent_manager.handlers.requests import AnyRequest, caller_of, manager_of, read_json, read_raw_json

MESSAGE_BYTES = 16 * 1024 * 1024
"""What a message has at most: a beat in a drain names every task that holds it."""
REGISTRATION_BYTES = 1024 * 1024
"""Of which `metadata` may have 64 KiB."""
RESULTS_BYTES = 64 * 1024 * 1024
"""A batch of results: 4 MiB and one more result, which has 10 MiB at most, with room for what is to come."""

_REGISTRATION = msgspec.json.Decoder(Registration)
_HEARTBEAT = msgspec.json.Decoder(Heartbeat)
_HAND_OVER = msgspec.json.Decoder(HandOver)
_UNREGISTRATION = msgspec.json.Decoder(Unregistration)


async def register(request: Raw) -> None:
    message = await read_raw_json(request.headers, request.receive, _REGISTRATION, REGISTRATION_BYTES)
    request.scope[FACTS] = {"agent": message.id, "instance_id": message.instance_id}
    request.manager.access.check_own(request.caller, message.id)
    client = request.scope["client"]
    orders = await request.manager.registrations.register(message, client[0] if client else None, request.caller.token)
    request.manager.metrics.registrations.inc()
    await request.answer(msgspec.json.encode(orders))


async def heartbeat(request: Raw) -> None:
    beat = await read_raw_json(request.headers, request.receive, _HEARTBEAT, MESSAGE_BYTES)
    request.manager.access.check_own(request.caller, beat.id)
    await request.answer(msgspec.json.encode(request.manager.registrations.heartbeat(beat, request.caller.token)))


async def take_results(request: AnyRequest) -> None:
    manager = manager_of(request)
    message = await read_json(request, _HAND_OVER, RESULTS_BYTES)
    manager.access.check_own(caller_of(request), message.id)
    manager.results.keep(message)


async def unregister(request: AnyRequest) -> None:
    manager = manager_of(request)
    message = await read_json(request, _UNREGISTRATION, MESSAGE_BYTES)
    manager.access.check_own(caller_of(request), message.id)
    manager.registrations.unregister(message)
