"""A request on its way to the manager that acts, and that one's answer on its way back."""

from typing import Any, Final, cast
from urllib.parse import quote

import msgspec
from agent_contract.asgi import Receive, Scope, decode_request
from litestar import Response

from agent_manager import agent_client
from agent_manager.handlers.requests import SMALL_BODY_BYTES, AnyRequest, manager_of, read_json_text
from agent_manager.holder import Passed

_COMING_BACK: Final = frozenset((b"content-type", b"location", b"retry-after", b"www-authenticate"))
_OK: Final = 200
_IN_TARGETS: Final = "/?%:@!$&'()*+,;=-._~"
"""What stays as it came: all that a path and a query may have (RFC 3986), escapes too."""


async def read_order(request: AnyRequest, decoder: "msgspec.json.Decoder[Any]") -> tuple[Any, bytes]:
    """Give the decoded body and its bytes; raises Problem 400, 413 or 415, and Disconnected."""
    headers = dict(request.scope["headers"])
    body = await read_json_text(headers, cast("Receive", request.receive), SMALL_BODY_BYTES)
    return decode_request(body, decoder), body


async def ordered_elsewhere(request: AnyRequest, body: bytes = b"", *, anywhere: bool) -> Response[bytes] | None:
    """Give the answer of the manager that acts, as it came; None: carry it out here. Raises what `order` raises."""
    answer = await manager_of(request).holder.order(_passed(request, body), anywhere=anywhere)
    return None if answer is None else _returned(answer)


async def seen_elsewhere(request: AnyRequest) -> Response[bytes] | None:
    """Give what the manager that acts says of it; None where there is no other one, or it is silent."""
    answer = await manager_of(request).holder.look(_passed(request, b""))
    return None if answer is None else _returned(answer)


async def listed_elsewhere(request: AnyRequest, kind: Any) -> Any:  # noqa: ANN401  # a type, and a value of it
    """Give the decoded answer of the manager that acts; None where it has none that is of use."""
    answer = await manager_of(request).holder.look(_passed(request, b""))
    if answer is None or answer.status != _OK:
        return None
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # a manager of another version
        return None


def _passed(request: AnyRequest, body: bytes) -> Passed:
    scope = cast("Scope", request.scope)
    target = b"?".join(part for part in (scope["raw_path"], scope["query_string"]) if part)
    return Passed(scope["method"], quote(target, safe=_IN_TARGETS), list(scope["headers"]), body)


def _returned(answer: agent_client.Response) -> Response[bytes]:
    headers = {name.decode(): value.decode("latin-1") for name, value in answer.headers if name in _COMING_BACK}
    return Response(answer.body, status_code=answer.status, headers=headers)
