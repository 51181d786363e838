"""One HTTP connection: uvicorn's httptools protocol, made strict, bounded in time, and able to say whether it is busy.

What it leans on in uvicorn is semi-public (0.54): `cycle`, `pipeline`, `scope`, `headers`, `transport` of
HttpToolsProtocol. The tests hold each on real sockets.
"""

from typing import Any, Final

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from agent_contract.problems import MEDIA_TYPE, Problem
from agent_contract.unread import unread_bytes

MAX_HEAD_BYTES: Final = 64 * 1024
FOLLOWER: Final = "agent_contract.follower"
"""The ASGI extension by which an app says that this answer has no end of its own and is closed, not waited for."""


class Connection(HttpToolsProtocol):
    """A connection of a `Server`. Its `server_state` carries `closing` and `changed` beside uvicorn's own."""

    in_message = False
    rejected = False
    follower = False
    since = 0.0
    """When the last byte of a request, or the connection itself, came; seconds of the event loop's clock."""
    _received = 0

    @property
    def answering(self) -> bool:
        """Whether a request is with the app."""
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete)

    @property
    def unfinished(self) -> bool:
        """Whether a request has begun to arrive and is not whole."""
        return self.in_message

    @property
    def idle(self) -> bool:
        """Whether nothing of a request has arrived that is not answered, in the kernel's buffer neither."""
        return not (self.in_message or self.answering or unread_bytes(self.transport))

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401  # asyncio's
        """Note when it was made: one that never sends anything is closed in time."""
        super().connection_made(transport)
        self.since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits for this connection to be done."""
        super().connection_lost(exc)
        self.server_state.changed()  # type: ignore[attr-defined]  # ours

    def data_received(self, data: bytes) -> None:
        """Take what came, unless the connection was rejected."""
        if self.rejected:
            return
        self.since = self.loop.time()
        self._received += len(data)
        super().data_received(data)
        if self._received > MAX_HEAD_BYTES and self.in_message and self.scope.get("method") is None:
            self._too_large()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.in_message = True
        self.follower = False
        self.scope["extensions"] = {FOLLOWER: self._follow}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        """Hand a request with a sound head to the app."""
        if self._received > MAX_HEAD_BYTES and sum(len(n) + len(v) for n, v in self.headers) > MAX_HEAD_BYTES:
            self._too_large()
        fault = self._fault()
        if fault is not None:
            self.reject(400, "bad-request", fault)
        if self.rejected:
            return
        super().on_headers_complete()
        if self.server_state.closing:  # type: ignore[attr-defined]  # ours
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        if not self.rejected:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request's arrival."""
        self.in_message = False
        self._received = 0
        if not self.rejected:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the connection, and tell whoever waits for it."""
        super().on_response_complete()
        self.server_state.changed()  # type: ignore[attr-defined]  # ours

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser found, as a problem."""
        self.reject(400, "bad-request", msg.removesuffix(".").lower())

    def reject(self, status: int, code: str, detail: str) -> None:
        """Answer below the app with a problem, and close."""
        if self.rejected or self.transport.is_closing():
            return
        self.rejected, self.in_message = True, False
        body = msgspec.json.encode(Problem(code, detail, status=status).members())
        head = b"content-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (MEDIA_TYPE, len(body))
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()

    def close_after_answer(self) -> None:
        """Let the answer that is due say `Connection: close`."""
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def _follow(self) -> None:
        self.follower = True

    def _too_large(self) -> None:
        self.reject(431, "bad-request", f"the head has more than {MAX_HEAD_BYTES} bytes")

    def _fault(self) -> str | None:
        """Give what is wrong with the head beyond what the parser checks (RFC 9112, sections 3.2 and 6.1)."""
        hosts = lengths = codings = 0
        for name, _ in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                lengths += 1
            elif name == b"transfer-encoding":
                codings += 1
        if hosts != 1 and (hosts or self.parser.get_http_version() == "1.1"):
            return "a request has exactly one Host header"
        if codings and (lengths or codings > 1):
            return "a request has either Content-Length or Transfer-Encoding, once"
        if self.parser.should_upgrade():
            return "this server upgrades to no other protocol"
        return None
