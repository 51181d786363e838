"""Raw ASGI under a route: for the hot paths, where a request object and its typed handler cost more than the work."""

from collections.abc import Awaitable, Callable

from agent_contract.asgi import Disconnected, Receive, Scope, Send, send_answer, send_problem
from agent_contract.problems import Problem
from agent_contract.same_origin import Headers
from msgspec import Struct

from agent_manager.access import NOBODY, Caller, Who
from agent_manager.audit import Deed
from agent_manager.handlers.auditing import note_refusal
from agent_manager.handlers.requests import manager_behind
from agent_manager.manager import Manager


class Raw(Struct, frozen=True):
    """A request whose sender may make it."""

    manager: Manager
    scope: Scope
    receive: Receive
    send: Send
    headers: Headers
    caller: Caller

    async def answer(self, body: bytes) -> None:
        """Answer 200 with a JSON text."""
        await send_answer(self.send, 200, [(b"content-type", b"application/json")], body)


RawHandler = Callable[[Raw], Awaitable[None]]


def checked(
    method: str, who: Who, deed: Deed, handler: RawHandler
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Give the ASGI application of a handler: method and credentials are checked, problems become answers."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        manager, headers, caller = manager_behind(scope), dict(scope["headers"]), NOBODY
        try:
            _check_method(scope, method)
            await manager.access.prepare(who, headers)
            caller = manager.access.check(who, headers)
            await handler(Raw(manager, scope, receive, send, headers, caller))
        except Problem as problem:
            note_refusal(scope, deed, problem, caller)
            await send_problem(send, problem)
        except Disconnected:
            return

    return handle


def _check_method(scope: Scope, method: str) -> None:
    if scope["method"] != method:
        detail = f"{scope['method']} is not for {scope['path'][:200]!r}"
        raise Problem("method-not-allowed", detail, headers={"Allow": method})
