"""One request on one connection: what is sent, who waits for it, and how it is given up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agent_manager.agent_client.response import CallError, ConnectFailed, ConnectionLost, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent_manager.agent_client.connection import Connection
    from agent_manager.agent_client.pool import Pool

_OWN_HEADERS: Final = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade"))
_WITH_BODY: Final = frozenset(("POST", "PUT", "PATCH"))


class Call:
    """One request, sent at most once, by the first `response()`."""

    __slots__ = (
        "_body",
        "_clock",
        "_connecting",
        "_connection",
        "_error",
        "_head",
        "_pool",
        "_streams",
        "last_byte_at",
        "started",
    )

    def __init__(self, pool: Pool, clock: Callable[[], float], head: bytes, body: bytes, *, streams: bool) -> None:
        self._pool = pool
        self._clock = clock
        self._head = head
        self._body = body
        self._streams = streams
        self._connecting: asyncio.Timeout | None = None
        self._connection: Connection | None = None
        self._error: CallError | None = None
        self.started = False
        """False until the request was handed to a connected socket: before that no work can have begun."""
        self.last_byte_at = clock()
        """The clock's time when the last byte of the response came, or when the request was sent."""

    async def response(self) -> Response:
        """Send, and give the response: when it is complete, or an event stream as soon as its head is there.

        Raises `ConnectFailed`, `ConnectionLost`, `BadResponse`, or what `abort` was given. A cancelled wait closes the
        connection: its response would be taken for the next request's.
        """
        if self.started:
            raise RuntimeError("cannot send a request twice")
        if self._error is not None:
            raise self._error
        connection = self._pool.take(self._clock()) or await self._connect()
        self._connection = connection
        self.started = True
        self.last_byte_at = self._clock()
        waiter = connection.send(self, self._head, self._body, streams=self._streams)
        try:
            return await waiter
        except asyncio.CancelledError:
            connection.give_up(self, ConnectionLost("cannot read the response: its reader was cancelled"))
            raise

    def abort(self, error: CallError) -> None:
        """Give the call up: its connection is closed, and `response()` or the stream raises `error`.

        Nothing happens to a call whose response is complete: its connection may already carry another.
        """
        if self._error is None:
            self._error = error
        if self._connection is not None:
            self._connection.give_up(self, error)
        elif self._connecting is not None and not self._connecting.expired():
            self._connecting.reschedule(0)  # ends the wait for the connection now

    async def _connect(self) -> Connection:
        """Give a new connection. Raises `ConnectFailed`, or what `abort` was given meanwhile."""
        pool = self._pool
        try:
            async with asyncio.timeout(pool.connect_timeout_seconds) as self._connecting:
                connection = await pool.connect()
        except TimeoutError as error:
            late = f"cannot connect to {pool.origin}: no answer within {pool.connect_timeout_seconds} s"
            raise self._error or ConnectFailed(late) from error
        finally:
            self._connecting = None
        if self._error is None and connection.is_quiet():
            return connection
        connection.close()
        raise self._error or ConnectFailed(f"cannot connect to {pool.origin}: it closed the connection, or spoke first")


def encode_head(
    method: str, target: str, host: bytes, headers: Iterable[tuple[bytes, bytes]], body_bytes: int
) -> bytes:
    """Give the request line and the headers, `Host` and `Content-Length` among them (RFC 9112).

    Raises `ValueError` for a target or header that would break out of its line, or a header that is set here: either
    would let one request pass as two.
    """
    if not target.startswith("/") or " " in target:
        raise ValueError(f"cannot request {target!r}: not a path")
    lines = [b"%b %b HTTP/1.1" % (method.encode("ascii"), target.encode("ascii")), b"host: %b" % host]
    for name, value in headers:
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"cannot send header {name!r}: it belongs to the connection")
        lines.append(b"%b: %b" % (name, value))
    if body_bytes or method in _WITH_BODY:
        lines.append(b"content-length: %d" % body_bytes)
    lines.append(b"\r\n")
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
        raise ValueError(f"cannot request {target!r}: a line break or a NUL in it or in a header")
    return head
