"""What goes wrong, as RFC 9457 problems: one table of codes, one exception, one JSON form."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

MEDIA_TYPE: Final = b"application/problem+json"
REFUSED_HEADER: Final = "X-Agent-Refused"
"""Only an adapter sets it: the proof that no work began, so that another instance may be tried."""

STATUS_OF: Final[Mapping[str, int]] = {
    "bad-request": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "forbidden-service-url": 403,
    "rbac-denied": 403,
    "not-found": 404,
    "unknown-agent": 404,
    "unknown-instance": 404,
    "unknown-task": 404,
    "unknown-action": 404,
    "method-not-allowed": 405,
    "paused": 409,
    "stopping": 409,
    "already-ended": 409,
    "agent-cancelled": 409,
    "not-draining": 409,
    "signalled": 409,
    "over-grace": 409,
    "key-in-use": 409,
    "registration-conflict": 409,
    "stale-instance": 409,
    "not-supported": 409,
    "autoscaled": 409,
    "body-too-large": 413,
    "unsupported-media-type": 415,
    "bad-parameters": 422,
    "key-reused": 422,
    "too-many-attempts": 429,
    "agent-failed": 500,
    "agent-crashed": 500,
    "result-too-large": 500,
    "internal-error": 500,
    "upstream-failed": 502,
    "outcome-unknown": 502,
    "at-capacity": 503,
    "starting": 503,
    "drain-timeout": 503,
    "upstream-busy": 503,
    "upstream-unreachable": 503,
    "unavailable": 503,
    "logs-unavailable": 503,
    "no-leader": 503,
    "task-timeout": 504,
}
"""Each code and the status that it comes with, unless the sender says otherwise."""


class Problem(Exception):  # noqa: N818  # the field's word (RFC 9457) is problem
    """A request that got no result: `code` says why, to programs, and `detail` says it to people.

    `extra` are further members of the body (`field`, `started`, `outcome`), `headers` go with the answer.
    Other spellings than those in `STATUS_OF` are allowed where the status is given.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        **extra: Any,  # noqa: ANN401  # members of a JSON object
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = STATUS_OF[code] if status is None else status
        self.headers: dict[str, str] = dict(headers or {})
        self.extra = extra

    def members(self) -> dict[str, Any]:
        """Give the members of the problem's JSON object, in the order of RFC 9457."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.extra,
        }

    def body(self) -> bytes:
        """Give the JSON text of the problem."""
        return msgspec.json.encode(self.members())

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive a copy: keyword-only arguments are not in `args`."""
        return (_rebuild, (self.code, self.detail, self.status, self.headers, self.extra))


def _rebuild(code: str, detail: str, status: int, headers: dict[str, str], extra: dict[str, Any]) -> Problem:
    return Problem(code, detail, status=status, headers=headers, **extra)


def refusal(code: str, detail: str, *, retry_after_seconds: float = 1) -> Problem:
    """Give the problem of a call on which no work began: it may be tried elsewhere at once, or here later."""
    headers = {REFUSED_HEADER: code, "Retry-After": str(max(1, round(retry_after_seconds)))}
    return Problem(code, detail, headers=headers, started=False)
