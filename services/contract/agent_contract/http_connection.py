"""One HTTP/1.1 connection: uvicorn's httptools protocol, made strict, with a part and a time that others can judge.

What it leans on in uvicorn (0.54) is semi-public: the attributes and callbacks of HttpToolsProtocol that stand below,
and RequestResponseCycle. The tests hold each of them on real sockets.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from agent_contract.http_exchange import Exchange, problem_bytes
from agent_contract.http_head import (
    MAX_HEAD_BYTES,
    Unsound,
    check_head,
    check_size,
    parts_of,
    too_long,
    without_upgrade,
)
from agent_contract.http_shared import Shared
from agent_contract.problems import Problem

if TYPE_CHECKING:
    from uvicorn.config import Config

FOLLOWER: Final = "agent_contract.follower"
"""ASGI extension, a callable: the answer to this request has no end of its own, and leaving does not wait for it."""

GONE: Final = "agent_contract.gone"
"""ASGI extension, a callable: tells at once whether the client of the request being answered has left."""

PIPELINE_DEPTH: Final = 8
"""Requests that may wait behind the one being answered. Then reading pauses, and nobody hears that a client went."""

# Which part of a request the next byte belongs to. Numbers, for each request sets them three times.
BETWEEN, HEAD, BODY = range(3)


class Connection(HttpToolsProtocol):
    """A client's connection. `since` and `heard_at` are times of the event loop's clock."""

    cycle: Exchange | None  # type: ignore[assignment]  # the request that came last; uvicorn leaves the None out
    server_state: Shared

    def __init__(self, config: "Config", shared: Shared, app_state: dict[str, Any]) -> None:
        super().__init__(config, shared, app_state)
        self.part = BETWEEN
        self.untouched = True
        """No byte has come yet."""
        self.lingers = False
        """The last answer was given; what the client still sends is taken and dropped."""
        self.since = 0.0
        """When what it is in now began: being idle, a head, lingering."""
        self.heard_at = 0.0
        """When the last bytes came."""
        self.active: Exchange | None = None
        """The request that the application answers, or answered last; those behind it are in the pipeline."""
        self._extensions = {FOLLOWER: self._follow, GONE: self._gone}
        self._upgrading = False
        self._deaf = False
        self._refusal: Problem | None = None
        self._piece_bytes = 0
        self._framing_bytes = 0  # received since the last head or piece of a body ended: an unended head, or a flood

    @property
    def answering(self) -> bool:
        """Whether a request is with the application, or waits to be."""
        return bool(self.pipeline) or (self.active is not None and not self.active.response_complete)

    @property
    def busy(self) -> bool:
        """Whether a request has begun to arrive and is not answered, or the client of the last one still sends."""
        return self.part != BETWEEN or self.lingers or self.answering

    @property
    def in_flight(self) -> int:
        """How many requests have begun to arrive and are not answered, wholly and into the socket."""
        unanswered = self.active is not None and not self.active.response_complete
        return len(self.pipeline) + unanswered + (self.part == HEAD) or int(self.transport.get_write_buffer_size() > 0)

    # --- asyncio's protocol ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin."""
        super().connection_made(transport)
        self.since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """End: tell the application whose client has gone, and whoever waits to leave."""
        self.connections.discard(self)
        for exchange in (self.active, self.cycle):
            if exchange is not None and not exchange.response_complete:
                exchange.disconnected = True
                exchange.message_event.set()
        self.pipeline.clear()
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()
        self.parser = None  # type: ignore[assignment]  # as uvicorn: it breaks a reference cycle
        self.server_state.changed()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self._deaf:
            return
        self.untouched = False
        self.heard_at = self.loop.time()
        self._framing_bytes += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            cause = error.__context__  # what a callback raised
            if not isinstance(cause, Unsound):
                cause = Unsound(400, f"cannot read the request: {str(error).lower()}")
            self.refuse(cause)
        else:
            if self._framing_bytes > MAX_HEAD_BYTES:
                self.refuse(too_long())

    def _parse(self, data: bytes) -> None:
        while data:
            self._piece_bytes = len(data)
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # The parser takes the rest for another protocol's. Nobody here speaks one, and a server may ignore
                # the offer (RFC 9110, 7.8): Java's client makes it with its first request, whose body would be lost.
                self._upgrading = False
                data = without_upgrade(self.scope["method"], self.url, self.headers) + data[upgrade.args[0] :]
            else:
                return

    # --- the parser's callbacks ---

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]  # ours
        self.part = HEAD
        self.since = self.heard_at

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes behind a chunked body (trailers) is dropped, for the head was judged without it."""
        if self.part == HEAD:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Hand a request with a sound head to the application, or put it behind those before it."""
        scope, version = self.scope, self.parser.get_http_version()
        scope["http_version"], scope["method"] = version, self.parser.get_method().decode("ascii")
        if self.parser.should_upgrade() and scope["method"] != "CONNECT":
            self._upgrading = True
            return
        if self._piece_bytes > MAX_HEAD_BYTES or self._framing_bytes > MAX_HEAD_BYTES:
            check_size(self.url, self.headers)
        expects_continue = check_head(version, scope["method"], self.headers)
        scope["path"], scope["raw_path"], scope["query_string"] = parts_of(self.url)
        self._check_place()
        self._framing_bytes = 0
        self.part = BODY
        # A client that waits for `100 Continue` and gets an answer instead may send its body or not: nobody can tell
        # where its next request would begin.
        keep_alive = version == "1.1" and not expects_continue and self.parser.should_keep_alive()
        self._take(expects_continue=expects_continue, keep_alive=keep_alive)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body; reading pauses while the application takes it more slowly than it comes."""
        self._framing_bytes = 0
        exchange = cast("Exchange", self.cycle)
        if not exchange.response_complete:
            exchange.body += body
            if len(exchange.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            exchange.message_event.set()

    def on_message_complete(self) -> None:
        """End the arrival of a request."""
        if self._upgrading:
            return
        self.part = BETWEEN
        exchange = cast("Exchange", self.cycle)
        if not exchange.response_complete:
            exchange.more_body = False
            exchange.message_event.set()
        elif self.lingers:
            self.transport.close()
        else:
            self.since = self.heard_at

    def _check_place(self) -> None:
        """Refuse a request behind the last one of its connection; let the one before it keep the connection open."""
        before = self.cycle
        if self.lingers or self.transport.is_closing():
            raise Unsound(400, "the connection was closed")
        if before is None or before.response_complete:
            return
        if not before.wants_keep_alive or (before.response_started and not before.keep_alive):
            raise Unsound(400, "a request came behind the last one of its connection")
        before.keep_alive = True

    def _take(self, *, expects_continue: bool, keep_alive: bool) -> None:
        exchange = Exchange(
            self.scope,
            self.transport,
            self.flow,
            self.server_state.default_headers,
            self.on_response_complete,
            expects_continue=expects_continue,
            wants_keep_alive=keep_alive,
        )
        if self.server_state.closing:
            exchange.keep_alive = False
        self.cycle = exchange
        if self.answering:
            if len(self.pipeline) >= PIPELINE_DEPTH:
                self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))
        else:
            self._begin(exchange)

    def _begin(self, exchange: Exchange) -> None:
        self.active = exchange
        self._start_asgi_task(exchange, self.app)

    # --- answers ---

    def on_response_complete(self) -> None:
        """Go on with the next request, or end the connection after its last answer."""
        exchange = cast("Exchange", self.active)
        if self.transport.is_closing():
            pass
        elif not exchange.keep_alive:
            self._end(at_once=self.part == BETWEEN)
        else:
            self.flow.resume_reading()
            if self.pipeline:
                self._begin(cast("Exchange", self.pipeline.pop()[0]))
            elif self._refusal is not None:
                self._write_refusal(self._refusal)
            else:
                self.since = self.loop.time()
        self.server_state.changed()

    def keep_alive_after_answer(self, *, wanted: bool) -> None:
        """Let the last answer that is due say `Connection: close`, or no longer, unless its head has been sent."""
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = wanted and self.cycle.wants_keep_alive

    def refuse(self, unsound: Unsound) -> None:
        """Answer below the application, behind the answers that are due before, and end the connection."""
        broken, self.part, self._deaf = self.part == BODY, BETWEEN, True
        if broken and not self._take_back():
            self.transport.close()  # its answer has begun: there is no second one
            return
        problem = Problem("bad-request", unsound.detail, status=unsound.status)
        if self.answering:
            self._refusal = problem
        elif not self.lingers:
            self._write_refusal(problem)

    def _take_back(self) -> bool:
        """Take the request whose body does not come from the application; False when its answer has begun."""
        exchange = cast("Exchange", self.cycle)
        if self.pipeline:
            self.pipeline.popleft()
        elif not exchange.unwritten:
            return False
        exchange.disconnected = exchange.response_complete = True
        exchange.message_event.set()
        return True

    def _write_refusal(self, problem: Problem) -> None:
        self.transport.write(problem_bytes(problem, self.server_state.default_headers))
        self._end(at_once=False)

    def _end(self, *, at_once: bool) -> None:
        """End the connection after its last answer; unless `at_once`, take what the client still sends first.

        Closed with bytes unread, the kernel sends a reset, which may overtake the answer (RFC 9112, 9.6).
        """
        self.since = self.loop.time()
        if at_once:
            self.transport.close()
            return
        self.lingers = True
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _follow(self) -> None:
        if self.active is not None:
            self.active.follower = True
            self.server_state.changed()

    def _gone(self) -> bool:
        return self.active is None or self.active.disconnected
