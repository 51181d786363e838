"""The adapter's HTTP application: its routes in one table."""

from typing import Any, Final

from agent_contract.asgi import App, Receive, Scope, Send, send_problem
from agent_contract.problems import Problem
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
    return guarded(app, adapter.tokens) if adapter.tokens.configured else app


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
