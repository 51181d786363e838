"""Whatever goes wrong on the way to a handler or in it, as a problem."""

from typing import Any, Final

import structlog
from agent_contract.asgi import Disconnected
from agent_contract.problems import MEDIA_TYPE, Problem
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.types import ExceptionHandlersMap

log = structlog.stdlib.get_logger(__name__)

_CODES: Final = {413: "body-too-large", 415: "unsupported-media-type"}
_SERVER_ERROR: Final = 500

AnyRequest = Request[Any, Any, Any]


def on_problem(_: AnyRequest, problem: Problem) -> Response[bytes]:
    """Answer with the problem."""
    headers = {**problem.headers, "content-type": MEDIA_TYPE.decode()}
    return Response(problem.body(), status_code=problem.status, headers=headers)


def on_http_error(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Answer what the framework found: no such route, wrong method, a bad request."""
    method, path = request.scope["method"], request.scope["path"][:200]
    if isinstance(error, NotFoundException):
        return on_problem(request, Problem("not-found", f"there is no {path!r} here"))
    if isinstance(error, MethodNotAllowedException):
        headers = {"Allow": (error.headers or {}).get("allow", "")}
        return on_problem(request, Problem("method-not-allowed", f"{method} is not for {path!r}", headers=headers))
    if error.status_code >= _SERVER_ERROR:
        return on_exception(request, error)
    code = _CODES.get(error.status_code, "bad-request")
    return on_problem(request, Problem(code, error.detail, status=error.status_code))


def on_exception(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer what nobody expected, and log it whole."""
    log.error("request failed", method=request.scope["method"], path=request.scope["path"], exc_info=error)
    return on_problem(request, Problem("internal-error", "an error of the manager's own; its log has it"))


def on_left(_: AnyRequest, __: Disconnected) -> Response[bytes]:
    """Answer nobody: the client went before its request was whole."""
    return Response(b"", status_code=400)


EXCEPTION_HANDLERS: Final[ExceptionHandlersMap] = {
    Problem: on_problem,
    Disconnected: on_left,
    HTTPException: on_http_error,
    Exception: on_exception,
}
