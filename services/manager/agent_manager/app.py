"""The manager's HTTP application: its routes in one table."""

from functools import cache
from typing import Any, Final

from agent_contract.asgi import App
from agent_contract.wire import (
    AgentActionRequest,
    DrainPatch,
    ExecuteRequest,
    HandOver,
    Heartbeat,
    Orders,
    Registration,
    TaskView,
    Unregistration,
)
from litestar import Litestar
from litestar.datastructures import State

from agent_manager.access import Who
from agent_manager.actions import ActionView, Ordered
from agent_manager.configured import Configured
from agent_manager.fleet_queries import Answers
from agent_manager.handlers import (
    adapters,
    agents,
    console,
    execute,
    logs,
    orders,
    pages,
    service,
    sessions,
    tasks,
)
from agent_manager.handlers.errors import EXCEPTION_HANDLERS
from agent_manager.handlers.openapi import document
from agent_manager.handlers.routes import Route
from agent_manager.handlers.shapes import ExecuteAnswer, Fleet
from agent_manager.logs import Lines
from agent_manager.manager import Manager, Target, Version
from agent_manager.tasks import TaskListing
from agent_manager.views import AgentView

_ALL: Final = "/api/agent-services"
_ONE: Final = "/api/agent-services/{agent_id:str}"
_ADAPTER, _VIEWER, _OPERATOR, _CALLER, _ANYONE = Who.ADAPTER, Who.VIEWER, Who.OPERATOR, Who.CALLER, Who.ANYONE
_AGENT: Final = ("unknown-agent",)
_INSTANCE: Final = ("unknown-agent", "unknown-instance", "stale-instance")
_TASK: Final = ("unknown-agent", "unknown-task", "unavailable")
_STEERING: Final = (*_INSTANCE, "not-draining", "unavailable")
_ORDERING: Final = (
    *(*_INSTANCE, "not-supported", "autoscaled", "rbac-denied"),
    *("unavailable", "no-leader", "outcome-unknown"),
)
_OUTCOMES: Final = (
    *("unknown-agent", "unavailable", "outcome-unknown", "paused", "stopping", "at-capacity", "starting"),
    *("bad-parameters", "key-in-use", "key-reused", "agent-failed", "agent-crashed", "agent-cancelled"),
    *("result-too-large", "task-timeout", "drain-timeout", "upstream-failed", "upstream-busy", "upstream-unreachable"),
)

# fmt: off
TABLE: Final = (  # method, path, who, handler, what it does; then body, answer, own problems
    Route("POST", f"{_ALL}/register", _ADAPTER, adapters.register, "Say who and where you are",
          raw=True, takes=Registration, gives=Orders,
          problems=("forbidden-service-url", "registration-conflict", "stale-instance", "unavailable"),
          audit="register"),
    Route("POST", f"{_ALL}/heartbeat", _ADAPTER, adapters.heartbeat, "Say how you are",
          raw=True, takes=Heartbeat, gives=Orders, problems=("unknown-instance", "stale-instance"), audit="report"),
    Route("POST", f"{_ALL}/results", _ADAPTER, adapters.take_results, "Hand over results that nobody fetched",
          takes=HandOver, status=204, audit="report"),
    Route("POST", f"{_ALL}/unregister", _ADAPTER, adapters.unregister, "Leave",
          takes=Unregistration, status=204, problems=("stale-instance",), audit="report"),
    Route("GET", _ALL, _VIEWER, agents.list_agents, "The agents with their instances",
          gives=Fleet, query=("watch",), streams="`listing`, then `agent` with each change"),
    Route("GET", _ONE, _VIEWER, agents.get_agent, "One agent", gives=AgentView, problems=_AGENT),
    Route("GET", f"{_ONE}/status", _VIEWER, agents.get_status, "What each instance does", gives=Answers,
          problems=_AGENT),
    Route("GET", f"{_ONE}/info", _VIEWER, agents.get_info, "What each instance is", gives=Answers, problems=_AGENT),
    Route("GET", f"{_ONE}/drain", _VIEWER, agents.get_drain, "What holds each instance", gives=Answers,
          query=("instanceId",), problems=_INSTANCE),
    Route("GET", f"{_ONE}/configuration", _VIEWER, agents.get_configuration, "What the file says of it",
          gives=Configured, problems=_AGENT),
    Route("PATCH", f"{_ONE}/drain", _OPERATOR, orders.move_drain, "Give a drain more or less time",
          takes=DrainPatch, gives=orders.SteeredDrains, query=("instanceId",), problems=(*_STEERING, "over-grace"),
          audit="move-drain"),
    Route("DELETE", f"{_ONE}/drain", _OPERATOR, orders.call_drain_off, "Call a drain off",
          gives=orders.SteeredDrains, query=("instanceId",), problems=(*_STEERING, "signalled"),
          audit="call-drain-off"),
    Route("POST", f"{_ONE}/execute", _CALLER, execute.execute, "Have an agent do something",
          raw=True, takes=ExecuteRequest, gives=ExecuteAnswer, streams="`chunk`s, then `result` or `error`",
          headers=("Accept", "Prefer", "Idempotency-Key", "traceparent"), problems=_OUTCOMES, audit="execute"),
    Route("GET", f"{_ONE}/tasks", _VIEWER, tasks.list_of_agent, "An agent's tasks",
          gives=TaskListing, query=("state", "limit", "key"), problems=_AGENT),
    Route("GET", f"{_ONE}/tasks/{{task_id:str}}", _VIEWER, tasks.get_task, "One task with its result",
          gives=TaskView, problems=_TASK),
    Route("DELETE", f"{_ONE}/tasks/{{task_id:str}}", _OPERATOR, tasks.cancel_task, "Cancel a task",
          gives=TaskView, status=202, problems=(*_TASK, "already-ended"), audit="cancel-task"),
    Route("GET", "/api/tasks", _VIEWER, tasks.list_all, "The tasks of all agents",
          gives=TaskListing, query=("agent", "state", "limit")),
    Route("POST", f"{_ONE}/action", _OPERATOR, orders.order_action,
          "Pause, resume, stop, start or restart: in place, or by the platform's own rollout",
          takes=AgentActionRequest, gives=Ordered, status=202, problems=_ORDERING, audit="order"),
    Route("GET", f"{_ONE}/actions", _VIEWER, orders.list_actions, "An agent's actions of the last hour",
          gives=orders.ActionList, problems=_AGENT),
    Route("GET", f"{_ONE}/actions/{{action_id:str}}", _VIEWER, orders.get_action, "How far an action is",
          gives=ActionView, problems=("unknown-agent", "unknown-action")),
    Route("GET", f"{_ONE}/logs", _VIEWER, logs.get_logs, "The log lines of all instances",
          gives=Lines, query=("lines", "instanceId", "follow"), streams="`line`s",
          problems=(*_INSTANCE, "logs-unavailable")),
    Route("GET", "/api/events", _VIEWER, agents.follow_events, "What happens",
          headers=("Last-Event-ID",), streams="`agent`, `action`, `drain`, `verdict`; `reset` where some are lost"),
    Route("GET", "/api/events/recent", _VIEWER, console.list_events, "What happened lately",
          gives=console.Events, query=("agent", "limit")),
    Route("GET", "/api/version", _VIEWER, service.version, "Which manager this is", gives=Version),
    Route("GET", "/api/prometheus/targets", _ANYONE, service.targets, "Instances to scrape", gives=list[Target]),
    Route("GET", "/metrics", _ANYONE, service.metrics, "Metrics", raw=True, gives="text/plain", query=("scope",)),
    Route("GET", "/health", _ANYONE, service.health, "Whether it is alive", gives=dict[str, str]),
    Route("GET", "/ready", _ANYONE, service.ready, "Whether it may be sent requests", gives=dict[str, Any],
          problems=("unavailable",)),
    Route("POST", "/api/session", _ANYONE, sessions.sign_in, "Begin a session of the console with a key",
          takes=sessions.SignIn, status=204, problems=("unauthenticated", "forbidden", "too-many-attempts"),
          audit="sign-in"),
    Route("GET", "/api/session", _VIEWER, sessions.get_session, "Who asks, and what they may do",
          gives=sessions.SignedIn),
    Route("DELETE", "/api/session", _ANYONE, sessions.sign_out, "End the session", status=204,
          problems=("forbidden",), audit="sign-out"),
    Route("GET", "/api/console/feed", _VIEWER, console.follow_console, "What the console's pages follow",
          headers=("Last-Event-ID",), streams="`hello`, the listing's, the journal's as `journal-*`, `past`, `step`"),
    Route("GET", "/", _VIEWER, console.page, "The console", gives="text/html", refused=console.sign_in_page),
    Route("GET", "/console/{version:str}/{path:path}", _ANYONE, console.console_asset, "What the console is made of",
          gives="application/octet-stream", problems=("not-found",)),
    Route("GET", "/schema", _ANYONE, pages.schema_page, "This API as a page", gives="text/html"),
    Route("GET", "/schema/openapi.json", _ANYONE, pages.openapi, "This API", gives=dict[str, Any]),
    Route("GET", "/schema/assets/{name:str}", _ANYONE, pages.asset, "What the page is made of",
          gives="application/octet-stream", problems=("not-found",)),
)
# fmt: on


@cache
def openapi_document() -> bytes:
    """Give the OpenAPI document of the table."""
    return document(TABLE)


def application(manager: Manager) -> App:
    """Give the ASGI application of a manager."""
    litestar = Litestar(
        route_handlers=[route.build() for route in TABLE],
        exception_handlers=EXCEPTION_HANDLERS,
        state=State({"manager": manager, "openapi": openapi_document}),
        openapi_config=None,
        logging_config=None,
    )
    _let_raw_routes_have_parameters(litestar.asgi_router.root_route_map_node)
    app: App = litestar  # type: ignore[assignment]  # the same ASGI, other aliases
    return app


def _let_raw_routes_have_parameters(node: Any) -> None:  # noqa: ANN401  # litestar's RouteTrieNode, not public
    """Mend what litestar (2.25) gets wrong: it looks the parameters of a raw route up by a method that it has not."""
    if node.is_asgi:
        for method in ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"):
            node.path_parameters.setdefault(method, node.path_parameters["asgi"])
    for child in node.children.values():
        _let_raw_routes_have_parameters(child)
