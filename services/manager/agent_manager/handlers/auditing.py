"""What requests tell the audit: who asked for what, and what they got."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final, cast
from urllib.parse import parse_qs

import msgspec
from agent_contract.asgi import Disconnected, Scope
from agent_contract.problems import Problem
from agent_contract.tracing.context import TraceContext
from litestar import Response

from agent_manager.access import NOBODY, Caller, Refused
from agent_manager.audit import ORDERS, REFUSALS, Deed, Outcome, Subject
from agent_manager.handlers.requests import CALLER, AnyRequest, manager_behind

FACTS: Final = "agent_manager.audit"
_REFUSED: Final = 400
_FAILED: Final = 500
_LONGEST_ID: Final = 128

Handler = Callable[..., Awaitable[Any]]


def tell(request: AnyRequest, **facts: Any) -> None:  # noqa: ANN401  # members of `Subject`
    """Say of a request what its path does not say: members of `Subject`."""
    cast("Scope", request.scope).setdefault(FACTS, {}).update(facts)


def note_refusal(scope: Scope, deed: Deed, problem: Problem, caller: Caller = NOBODY) -> None:
    """Note a request that may not be made; problems of another kind are not noted."""
    if problem.code not in REFUSALS:
        return
    known = problem.caller if isinstance(problem, Refused) else caller
    _note(scope, deed, known, "refused", problem.code, problem.detail)


def audited(deed: Deed, handler: Handler) -> Handler:
    """Give the handler with what is to be noted of it: every outcome of an order, refusals of the rest."""
    return _every_outcome(deed, handler) if deed in ORDERS else _refusals(deed, handler)


def _refusals(deed: Deed, handler: Handler) -> Handler:
    @wraps(handler)
    async def noted(request: AnyRequest, **parameters: Any) -> Any:  # noqa: ANN401  # whatever the handler has
        try:
            return await handler(request, **parameters)
        except Problem as problem:
            scope = cast("Scope", request.scope)
            note_refusal(scope, deed, problem, _caller(scope))
            raise

    return noted


def _every_outcome(deed: Deed, handler: Handler) -> Handler:
    @wraps(handler)
    async def noted(request: AnyRequest, **parameters: Any) -> Any:  # noqa: ANN401  # whatever the handler has
        scope = cast("Scope", request.scope)
        try:
            answer = await handler(request, **parameters)
        except Disconnected:
            raise
        except Problem as problem:
            outcome: Outcome = "refused" if problem.status < _FAILED else "failed"
            _note(scope, deed, _caller(scope), outcome, problem.code, problem.detail)
            raise
        except BaseException as error:
            _note(scope, deed, _caller(scope), "failed", "internal-error", type(error).__qualname__)
            raise
        status = (answer.status_code or 200) if isinstance(answer, Response) else 200
        if status >= _REFUSED:
            _note(scope, deed, _caller(scope), "refused" if status < _FAILED else "failed", *_problem(answer))
        else:
            _note(scope, deed, _caller(scope), "ordered" if deed == "order" else "done")
        return answer

    return noted


def _note(
    scope: Scope, deed: Deed, caller: Caller, outcome: Outcome, code: str | None = None, detail: str = ""
) -> None:
    path, facts, client = scope.get("path_params") or {}, scope.get(FACTS, {}), scope.get("client")
    instance = parse_qs(scope["query_string"].decode("latin-1")).get("instanceId", [None])[0]
    parent = TraceContext.of(scope["headers"]).parent
    given = {
        "deed": deed,
        "caller": caller,
        "host": str(client[0]) if client else "",
        "agent": _cut(path.get("agent_id")),
        "instance_id": _cut(instance),
        "task_id": _cut(path.get("task_id")),
        "trace_id": None if parent is None else parent.trace_id,
        **facts,
    }
    if given.pop("unsaid", False) and outcome == "done":
        return
    manager_behind(scope).audit.note(Subject(**given), outcome, code, detail)


def _cut(text: str | None) -> str | None:
    """Give what a stranger wrote, at most as long as any id: it is kept as an event."""
    return None if text is None else text[:_LONGEST_ID]


def _caller(scope: Scope) -> Caller:
    caller: Caller = scope.get(CALLER, NOBODY)
    return caller


def _problem(answer: Response[Any]) -> tuple[str, str]:
    """Give code and detail of a problem that another process answered with."""
    try:
        said = msgspec.json.decode(answer.content, type=dict[str, Any])
    except (msgspec.MsgspecError, TypeError, UnicodeDecodeError):
        said = {}
    return str(said.get("code", "outcome-unknown")), str(said.get("detail", ""))
