"""One connection to an instance: one request at a time out, its response in, and whether it may carry another."""

from __future__ import annotations

import asyncio
import select
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, cast

from agent_manager.agent_client.response import BadResponse, CallError, Chunks, ConnectionLost, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_manager.agent_client.parser import ResponseParser

MAX_UNREAD_STREAM_BYTES: Final = 65536
"""What a slow reader of an event stream may leave unread, and one read of the socket more, before we stop reading."""
_COPIED_BODY_BYTES: Final = 65536  # up to here one joined write is cheaper than two buffers


class Progress(Protocol):
    """What the connection writes into the call that it carries."""

    last_byte_at: float


class Keeper(Protocol):
    """Who owns connections: told when one is open, free for another request, and gone."""

    def remember(self, connection: Connection) -> None:
        """Take note that a connection is open."""

    def put(self, connection: Connection) -> None:
        """Take a connection that may carry another request."""

    def forget(self, connection: Connection) -> None:
        """Take note that a connection is closed."""


class Connection(asyncio.Protocol):
    """A socket, the reader of its responses, and the call in hand. It decides nothing but its own reuse."""

    def __init__(self, keeper: Keeper, parser: ResponseParser, clock: Callable[[], float]) -> None:
        self._keeper = keeper
        self._parser = parser
        self._clock = clock
        self._call: Progress | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._chunks: Chunks | None = None
        self._reading = True
        self._poll: select.poll | None = None
        self.idle_since = 0.0
        """The clock's time when the last response was complete."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and a way to ask the kernel whether the other side has spoken while we were idle."""
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._keeper.remember(self)
        if hasattr(select, "poll") and transport.get_extra_info("sslcontext") is None:
            self._poll = select.poll()
            self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def send(self, call: Progress, head: bytes, body: bytes, *, streams: bool) -> asyncio.Future[Response]:
        """Write one request; gives the future of its response. Only for a connection that carries none."""
        self._call = call
        self._waiter = waiter = self._loop.create_future()
        self._parser.expect(head_only=head.startswith(b"HEAD "), streams=streams)
        if len(body) > _COPIED_BODY_BYTES:
            self._transport.writelines((head, body))
        else:
            self._transport.write(head + body)
        return waiter

    def is_quiet(self) -> bool:
        """Tell whether this connection, which carries no call, is still open and has nothing to read.

        Whatever it has to read is its end, or bytes that nobody asked for. The kernel is asked because
        the event loop may not have come to it yet, and a request written to a closed socket is one that may have
        started and cannot be repeated.
        """
        return not self._transport.is_closing() and (self._poll is None or not self._poll.poll(0))

    def give_up(self, call: Progress, error: CallError) -> None:
        """Close the connection if it still carries `call`, whose response or stream then raises `error`."""
        if self._call is call:
            self._fail(error)

    def close(self) -> None:
        """Close at once; a call in hand raises `ConnectionLost`."""
        self._fail(ConnectionLost("cannot read the response: the client was closed"))

    def data_received(self, data: bytes) -> None:
        """Read on, and hand on what is complete."""
        call = self._call
        if call is None:  # bytes that nobody asked for would be taken for the next request's response
            self._transport.abort()
            return
        call.last_byte_at = self._clock()
        parser = self._parser
        try:
            parser.feed(data)
        except BadResponse as error:
            self._fail(error)
            return
        if parser.streaming:
            self._stream()
        if parser.complete:
            self._finish()

    def never_was(self) -> None:
        """Be forgotten: who wanted this connection gave up while it was made, and its socket is closed."""
        self._keeper.forget(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the call in hand: its response is complete now if its body lasts until here, else it is lost."""
        self._keeper.forget(self)
        self.closed.set_result(None)
        if self._call is not None:
            error = self._parser.feed_eof() if exc is None else ConnectionLost(f"cannot read the response: {exc}")
            if error is None:
                self._finish()
            else:
                self._fail(error)
        self._parser.let_go()

    def _stream(self) -> None:
        """Hand on what came of an event stream, and stop reading when its reader does not keep up."""
        chunks = self._chunks
        if chunks is None:
            call = cast("Progress", self._call)
            abandon = partial(self.give_up, call, ConnectionLost("cannot read the stream: its reader left"))
            self._chunks = chunks = Chunks(self._resume, abandon)
            self._resolve(self._parser.response(chunks))
        if chunks.put(self._parser.take()) > MAX_UNREAD_STREAM_BYTES and self._reading:
            self._reading = False
            self._transport.pause_reading()

    def _resume(self) -> None:
        if not self._reading and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    def _resolve(self, response: Response) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():  # done: its task was cancelled, and is about to give us up
            waiter.set_result(response)

    def _finish(self) -> None:
        """Hand on the complete response, and the connection if it may carry another request."""
        call, chunks = self._call, self._chunks
        if chunks is not None:
            chunks.end(None)
        else:
            self._resolve(self._parser.response())
        self._call = self._waiter = self._chunks = None
        # a request that is still being written was answered before it was read: the rest of it must not be sent
        if call is None or not self._parser.reusable or self._transport.get_write_buffer_size():
            self._transport.abort()
        elif not self._transport.is_closing():
            self._resume()
            self.idle_since = call.last_byte_at
            self._keeper.put(self)

    def _fail(self, error: CallError) -> None:
        waiter, chunks = self._waiter, self._chunks
        self._call = self._waiter = self._chunks = None
        self._transport.abort()
        if chunks is not None:
            chunks.end(error)
        elif waiter is not None and not waiter.done():
            waiter.set_exception(error)
