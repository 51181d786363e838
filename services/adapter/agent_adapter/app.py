"""The adapter's HTTP application: its routes in one table."""

from typing import Any, Final

from agent_contract.asgi import App, Receive, Scope, Send, send_problem
from agent_contract.loopback import is_loopback
from agent_contract.problems import Problem
from agent_contract.same_origin import is_of_this_origin, may_be_rebound
from agent_contract.tokens import HEADER
from litestar import Litestar
from litestar.datastructures import State

from agent_adapter.adapter import Adapter
from agent_adapter.credentials import ManagerTokens
from agent_adapter.handlers import instance, logs, tasks
from agent_adapter.handlers.errors import EXCEPTION_HANDLERS
from agent_adapter.handlers.execute import execute

ROUTES: Final[list[Any]] = [
    instance.health,  # GET /health
    instance.ready,  # GET /ready
    instance.metrics,  # GET /metrics
    instance.info,  # GET /info
    instance.status,  # GET /status
    execute,  # POST /execute
    tasks.list_tasks,  # GET /tasks
    tasks.get_task,  # GET /tasks/{task_id}
    tasks.cancel_task,  # DELETE /tasks/{task_id}
    instance.action,  # POST /action
    instance.drain,  # GET /drain
    instance.steer_drain,  # PATCH /drain
    instance.call_drain_off,  # DELETE /drain
    logs.logs,  # GET /logs
]
OPEN: Final = frozenset({"/health", "/ready", "/metrics"})
"""Without a token: probes and scrapers have none, and these say nothing that is secret."""

_HEADER: Final = HEADER.lower().encode()


def application(adapter: Adapter) -> App:
    """Give the ASGI application of an instance; with tokens configured it is closed but for `OPEN`."""
    litestar = Litestar(
        route_handlers=ROUTES,
        exception_handlers=EXCEPTION_HANDLERS,  # type: ignore[arg-type]  # its own handlers take the exact exception
        state=State({"adapter": adapter}),
        openapi_config=None,
        logging_config=None,
        request_max_body_size=adapter.settings.max_body_bytes,
    )
    app: App = litestar  # type: ignore[assignment]  # the same ASGI, other aliases
    if adapter.tokens.configured:
        return guarded(app, adapter.tokens)
    return for_no_page(app, own_names_only=is_loopback(adapter.settings.host))


def for_no_page(app: App, *, own_names_only: bool) -> App:
    """Give the application without what pages of browsers could do where nobody is asked for a token.

    No page is served here, so that none may change anything; `own_names_only`: one that listens on loopback answers to
    no name that its owner may have given an address of this machine.
    """

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN:
            headers = dict(scope["headers"])
            if own_names_only and may_be_rebound(headers):
                host = headers[b"host"][:200].decode("latin-1")
                detail = (
                    f"{host!r} may be the name of a page of elsewhere: call it at localhost, or set MANAGER_TOKEN_FILE"
                )
                await send_problem(send, Problem("forbidden", detail))
                return
            if scope["method"] != "GET" and not is_of_this_origin(headers):
                await send_problem(send, Problem("forbidden", "a page of another origin may not do this"))
                return
        await app(scope, receive, send)

    return guard


def guarded(app: App, tokens: ManagerTokens) -> App:
    """Give the application behind the proof that a manager asks."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await app(scope, receive, send)
            return
        token = next((value for name, value in scope["headers"] if name == _HEADER), None)
        if token is None:
            await send_problem(send, Problem("unauthenticated", f"this route needs {HEADER}"))
        elif not tokens.accepts(token):
            await send_problem(send, Problem("forbidden", f"this {HEADER} is not one of those accepted"))
        else:
            await app(scope, receive, send)

    return guard
