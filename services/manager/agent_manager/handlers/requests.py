"""What handlers read of a request: the manager behind it, who asks, its body, its client's patience."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import msgspec
from agent_contract.asgi import Receive, Scope, content_length, decode_request, read_body
from agent_contract.problems import Problem
from agent_contract.same_origin import Headers
from litestar import Request
from litestar.datastructures import State

from agent_manager.access import Caller
from agent_manager.manager import Manager

AnyRequest = Request[Any, Any, State]
SMALL_BODY_BYTES: Final = 64 * 1024
"""What a client's order has at most."""
CALLER: Final = "agent_manager.caller"


def manager_of(request: AnyRequest) -> Manager:
    """Give the manager that serves this request."""
    manager: Manager = request.app.state.manager
    return manager


def manager_behind(scope: Scope) -> Manager:
    """Give the manager that serves a raw request."""
    manager: Manager = scope["litestar_app"].state.manager
    return manager


def caller_of(request: AnyRequest) -> Caller:
    """Give who asks, as the guard found out."""
    caller: Caller = cast("Scope", request.scope)[CALLER]
    return caller


async def read_json(request: AnyRequest, decoder: "msgspec.json.Decoder[Any]", limit: int = SMALL_BODY_BYTES) -> Any:  # noqa: ANN401  # what the decoder gives
    """Give the decoded body; raises Problem 400, 413 or 415, and Disconnected."""
    return await read_raw_json(dict(request.scope["headers"]), cast("Receive", request.receive), decoder, limit)


async def read_raw_json(headers: Headers, receive: Receive, decoder: "msgspec.json.Decoder[Any]", limit: int) -> Any:  # noqa: ANN401  # what the decoder gives
    """Give the decoded body of a raw request; raises as `read_json` does."""
    return decode_request(await read_json_text(headers, receive, limit), decoder)


async def read_json_text(headers: Headers, receive: Receive, limit: int) -> bytes:
    """Give the body of a request that does not say to be something else than JSON; raises as `read_json` does."""
    check_json(headers)
    return await read_body(receive, limit, content_length(headers.get(b"content-length")))


def check_json(headers: Headers) -> None:
    """Refuse a body that says to be something else than JSON; raises Problem 415. Saying nothing is fine."""
    value = headers.get(b"content-type")
    if value is None or value.partition(b";")[0].strip().lower() == b"application/json":
        return
    detail = f"cannot read {value.decode('latin-1')[:100]!r}: send application/json"
    raise Problem("unsupported-media-type", detail, headers={"Accept": "application/json"})


def until_left(receive: Receive) -> Callable[[], Awaitable[None]]:
    """Give what returns when the client of a request whose body is read has gone."""

    async def left() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    return left
