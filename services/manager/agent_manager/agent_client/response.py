"""What an instance answers, and the errors when it does not.

CallError
├── ConnectFailed    nothing was sent: another instance may be tried
├── ConnectionLost   the connection ended before the response was complete: the work may have started
├── BadResponse      what came cannot be handed on: the work may have started
└── CallTimedOut     the time that the caller gave was up: the work may have started
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


class CallError(Exception):
    """A call that got no response, or lost it midway."""


class ConnectFailed(CallError):  # noqa: N818  # what happened, and the word that dispatch and its readers use
    """No connection could be made, so no byte of the request was sent. `refused`: nobody listens there."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class ConnectionLost(CallError):  # noqa: N818  # as above
    """The connection ended before the response was complete. The request may have been worked on."""


class BadResponse(CallError):  # noqa: N818  # as above
    """The bytes are not one whole HTTP/1 response within the bounds. The request may have been worked on."""


class CallTimedOut(CallError):  # noqa: N818  # as above
    """The response was not complete within the caller's time. The request may have been worked on."""


class Response(msgspec.Struct, frozen=True):
    """A status, headers as received with their names in lower case, and the body, whole or as it comes."""

    status: int
    """200 to 599."""
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    """The whole body, never decompressed; empty while `streaming`."""
    stream: Chunks | None = None

    @property
    def streaming(self) -> bool:
        """Whether this is an event stream, whose body `chunks()` gives."""
        return self.stream is not None

    def chunks(self) -> Chunks:
        """Give the body as it arrives. One reader reads it, and ends with `aclose()` unless it came to the end."""
        if self.stream is None:
            raise ValueError("cannot stream: the body is whole")
        return self.stream

    def header(self, name: bytes) -> bytes | None:
        """Give the value of the first header `name` (in lower case), or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Chunks:
    """An event stream's bytes: an async iterator that a cancelled wait does not break (no byte is lost by it).

    It gives what came since the last time as one piece. Raises the `CallError` that ended the stream, after the bytes
    that came before it.
    """

    __slots__ = ("_abandon", "_ended", "_error", "_pieces", "_resume", "_size", "_waiter")

    def __init__(self, resume: Callable[[], None], abandon: Callable[[], None]) -> None:
        self._resume = resume
        self._abandon = abandon
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._error: CallError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            await self._wait()
        pieces, self._pieces, self._size = self._pieces, [], 0
        if not self._ended:
            self._resume()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def aclose(self) -> None:
        """Leave: a stream that has not ended is closed at once, so that the instance sees its reader go."""
        self._abandon()
        self._pieces, self._error, self._ended = [], None, True

    def put(self, piece: bytes) -> int:
        """Add what arrived; gives the number of bytes that wait to be read."""
        if piece:
            self._pieces.append(piece)
            self._size += len(piece)
            self._wake()
        return self._size

    def end(self, error: CallError | None) -> None:
        """Say that nothing more comes, and why."""
        self._ended, self._error = True, error
        self._wake()

    async def _wait(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("cannot read a stream twice at a time")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
