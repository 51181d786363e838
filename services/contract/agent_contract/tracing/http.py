"""What a span says of an HTTP request that is being answered."""

from collections.abc import MutableMapping
from typing import Any, Final

from agent_contract.asgi import Scope, Send
from agent_contract.tracing import names
from agent_contract.tracing.spans import Span

_LONGEST: Final = 256
"""Characters of what a client says: a span is kept for weeks, and some send kilobytes."""
_FAILED: Final = 500


def request_attributes(scope: Scope, route: str) -> dict[str, str | int]:
    """Give the attributes of a request: no query, for it may hold what is nobody's business; no header but two."""
    headers = dict(scope["headers"])
    address, port = scope.get("server") or (None, None)
    client = scope.get("client")
    said = {
        names.METHOD: scope["method"],
        names.ROUTE: route,
        names.PATH: scope["path"],
        names.SCHEME: scope["scheme"],
        names.SERVER_ADDRESS: address,
        names.SERVER_PORT: port,
        names.CLIENT_ADDRESS: client[0] if client else None,
        names.PROTOCOL_VERSION: scope.get("http_version"),
        names.USER_AGENT: headers.get(b"user-agent", b"").decode("latin-1") or None,
    }
    return {
        name: value[:_LONGEST] if isinstance(value, str) else value for name, value in said.items() if value is not None
    }


def answered(span: Span, status: int) -> None:
    """Say what a request was answered with; from 500 on it is the server's failure, below it is not."""
    span.set({names.STATUS: status})
    if status >= _FAILED:
        span.fail(str(status))


def watched(send: Send, span: Span) -> Send:
    """Give `send` so that the span learns the answer's status."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answered(span, message["status"])
        await send(message)

    return sending
