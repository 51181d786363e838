"""The adapter's HTTP application: its routes in one table."""

from typing import Any, Final

from agent_contract.asgi import App, Receive, Scope, Send, send_problem
from agent_contract.problems import Problem
from agent_contract.tokens import HEADER, matches
from litestar import Litestar
from litestar.datastructures import State

from agent_adapter.adapter import Adapter
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
    return guarded(app, adapter.settings.manager_tokens) if adapter.settings.manager_tokens else app


def guarded(app: App, tokens: tuple[str, ...]) -> App:
    """Give the application behind the manager token."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await app(scope, receive, send)
            return
        token = next((value for name, value in scope["headers"] if name == _HEADER), None)
        if token is None:
            await send_problem(send, Problem("unauthenticated", f"this route needs {HEADER}"))
        elif not matches(token.decode("latin-1"), tokens):
            await send_problem(send, Problem("forbidden", f"this {HEADER} is not one of those accepted"))
        else:
            await app(scope, receive, send)

    return guard
