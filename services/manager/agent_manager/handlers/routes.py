"""One route: what it is called, who may use it, what it takes and gives, and which problems it has of its own."""

from collections.abc import Callable
from typing import Any, Final

from agent_contract.asgi import Scope
from agent_contract.problems import Problem
from litestar import asgi, delete, get, patch, post
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from agent_manager.access import Who
from agent_manager.audit import Deed
from agent_manager.handlers.auditing import audited, note_refusal
from agent_manager.handlers.raw import checked
from agent_manager.handlers.requests import CALLER, manager_behind

_DECORATORS: Final[dict[str, Any]] = {"GET": get, "POST": post, "PATCH": patch, "DELETE": delete}


class Route(Struct, frozen=True):
    """A line of the table. `takes` is the body's type; `gives` that of the answer, or its media type."""

    method: str
    path: str
    who: Who
    handler: Callable[..., Any]
    summary: str
    takes: Any = None
    gives: Any = None
    status: int = 200
    streams: str | None = None
    """The events that it sends instead where it is asked to: how, and which."""
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    refused: Callable[..., Any] | None = None
    """Answers who may not use it, in the place of the problem."""
    raw: bool = False
    """Below the framework's own request and response: a hot path."""
    audit: Deed = "look"
    """What audits call it."""

    def build(self) -> Any:  # noqa: ANN401  # one of the framework's kinds of handler
        """Give the framework's handler of this route."""
        if self.raw:
            return asgi(self.path, copy_scope=False)(checked(self.method, self.who, self.audit, self.handler))
        decorate = _DECORATORS[self.method]
        refused: Any = None if self.refused is None else {Problem: self.refused}
        decorated = decorate(
            self.path,
            status_code=self.status,
            guards=[_guard],
            opt={"who": self.who, "audit": self.audit},
            exception_handlers=refused,
        )
        return decorated(self.handler if self.audit == "look" else audited(self.audit, self.handler))


async def _guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let only those in who may use the route, and note who asks."""
    scope: Scope = connection.scope  # type: ignore[assignment]  # the same mapping
    access, who, headers = manager_behind(scope).access, handler.opt["who"], dict(scope["headers"])
    try:
        await access.prepare(who, headers)
        scope[CALLER] = access.check(who, headers)
    except Problem as problem:
        note_refusal(scope, handler.opt["audit"], problem)
        raise
