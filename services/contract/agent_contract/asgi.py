"""The few lines of raw ASGI that the hot paths of both sides share: read a body, send an answer, send a problem."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

import msgspec

from agent_contract.problems import MEDIA_TYPE, Problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

BODY_SECONDS: Final = 30.0
"""How long a body may take to arrive: a client that is slower holds a connection for nothing."""


class Disconnected(Exception):  # noqa: N818  # what happened
    """The client went before its request was whole: there is nobody to answer."""


async def read_body(receive: Receive, limit: int, declared: int | None = None) -> bytes:
    """Give the whole body, at most `limit` bytes; `declared` is its Content-Length.

    Raises:
        Problem: 413 `body-too-large`, also at once when the declared length is over the limit; 400 when it is too slow.
        Disconnected: the client went.

    """
    if declared is not None and declared > limit:
        raise _too_large(limit)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        return body
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read_on(receive, message, limit)
    except TimeoutError as error:
        raise Problem("bad-request", f"the body did not arrive within {BODY_SECONDS:g} s", field="body") from error


async def send_answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole answer with its length."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def send_problem(send: Send, problem: Problem, headers: Headers = ()) -> None:
    """Send a problem as `application/problem+json` with its own headers."""
    own = [(name.lower().encode(), value.encode("latin-1")) for name, value in problem.headers.items()]
    await send_answer(send, problem.status, [(b"content-type", MEDIA_TYPE), *own, *headers], problem.body())


def decode_request(body: bytes, decoder: "msgspec.json.Decoder[Any]") -> Any:  # noqa: ANN401  # what the decoder gives
    """Give a request's decoded body; raises Problem 400 `bad-request` with the `field` that is to blame."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        named = what.partition("`")[2].partition("`")[0] if "field `" in what else ""
        place = ".".join(part for part in (path.rstrip("`").removeprefix("."), named) if part)
        raise Problem("bad-request", f"bad body: {what[:1].lower()}{what[1:]}", field=place or "body") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("bad-request", f"the body is not JSON: {error}", field="body") from error
    except RecursionError as error:
        raise Problem("bad-request", "the body is nested too deeply", field="body") from error


def content_length(text: bytes | None) -> int | None:
    """Give a Content-Length header's number, None when there is none."""
    return int(text) if text is not None and text.isdigit() else None


async def _read_on(receive: Receive, message: MutableMapping[str, Any], limit: int) -> bytes:
    body = bytearray()
    while True:
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return bytes(body)
        message = await receive()


def _too_large(limit: int) -> Problem:
    return Problem("body-too-large", f"the body has more than {limit} bytes", headers={"Connection": "close"})
