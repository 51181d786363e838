"""Bodies of requests: JSON, within their bounds, of the form that the route wants."""

from typing import Any, Final

import msgspec
from agent_contract.asgi import content_length, decode_request
from agent_contract.problems import Problem

from agent_adapter.handlers.queries import AnyRequest

_MOST_BYTES: Final = 64 * 1024
"""Of an order: it is a word and a number."""


async def read_json(request: AnyRequest, decoder: "msgspec.json.Decoder[Any]") -> Any:  # noqa: ANN401  # what it gives
    """Give the decoded body of an order; raises Problem 400, 413 or 415."""
    headers = dict(request.scope["headers"])
    check_content_type(headers.get(b"content-type"))
    declared = content_length(headers.get(b"content-length"))
    if declared is not None and declared > _MOST_BYTES:
        raise _too_large()
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise _too_large()
    return decode_request(bytes(body), decoder)


def check_content_type(value: bytes | None) -> None:
    """Raise Problem 415 unless the body is said to be JSON, or nothing is said of it."""
    if value is None or value.partition(b";")[0].strip().lower() == b"application/json":
        return
    detail = f"cannot read {value.decode('latin-1')!r}: send application/json"
    raise Problem("unsupported-media-type", detail, headers={"Accept": "application/json"})


def _too_large() -> Problem:
    return Problem("body-too-large", f"the body has more than {_MOST_BYTES} bytes", headers={"Connection": "close"})
