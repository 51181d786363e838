"""Whatever goes wrong on the way to a handler or in it, as a problem."""

import structlog
from agent_contract.problems import MEDIA_TYPE, Problem
from litestar import Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from agent_adapter.handlers.queries import AnyRequest

log = structlog.stdlib.get_logger(__name__)


def on_problem(_: AnyRequest, problem: Problem) -> Response[bytes]:
    """Answer with the problem."""
    headers = {**problem.headers, "content-type": MEDIA_TYPE.decode()}
    return Response(problem.body(), status_code=problem.status, headers=headers)


def on_http_error(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Answer what the framework found: no such route, wrong method, a bad request."""
    method, path = request.scope["method"], request.scope["path"]
    if isinstance(error, NotFoundException):
        return on_problem(request, Problem("not-found", f"there is no {path[:200]!r} here"))
    if isinstance(error, MethodNotAllowedException):
        headers = {"Allow": (error.headers or {}).get("Allow", _allowed(request))}
        return on_problem(
            request, Problem("method-not-allowed", f"{method} is not for {path[:200]!r}", headers=headers)
        )
    return on_problem(request, Problem("bad-request", error.detail, status=error.status_code))


def on_exception(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer what nobody expected, and log it whole."""
    log.error("request failed", path=request.scope["path"], exc_info=error)
    return on_problem(request, Problem("internal-error", "an error of the adapter's own; its log has it"))


def _allowed(request: AnyRequest) -> str:
    path = request.scope["path"].rstrip("/")
    for route in request.app.routes:
        if route.path == path or (path.startswith("/tasks/") and route.path.startswith("/tasks/{")):
            return ", ".join(sorted(str(method) for method in getattr(route, "methods", ())))
    return ""


EXCEPTION_HANDLERS = {Problem: on_problem, HTTPException: on_http_error, Exception: on_exception}
