"""Bytes in, one response at a time out: framing read strictly, memory bounded, no input or output of its own.

httptools (llhttp) refuses bare line feeds, folded headers, control characters, Content-Length beside
Transfer-Encoding, doubled or malformed lengths and malformed chunks. What it lets pass is refused here: other versions,
other codings than `chunked`, a length left open without `Connection: close`, 101, more head or body than the bounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from agent_manager.agent_client.response import BadResponse, ConnectionLost, Response

if TYPE_CHECKING:
    from agent_manager.agent_client.response import Chunks

_NOTED: Final = frozenset((b"content-length", b"transfer-encoding", b"connection", b"content-type"))
_STATUSES: Final = range(100, 600)
_SWITCHING, _FINAL = 101, 200
_BODILESS: Final = frozenset((204, 304))


class ResponseParser:
    """Reads the responses of one connection: `expect`, then `feed` until `complete`."""

    __slots__ = (
        "_begun",
        "_body",
        "_chunked",
        "_head_done",
        "_head_only",
        "_headers",
        "_http11",
        "_interim",
        "_last_piece",
        "_max_body_bytes",
        "_max_head_bytes",
        "_noted",
        "_parser",
        "_size",
        "_status",
        "_streams",
        "_unproductive",
        "_until_eof",
        "complete",
        "reusable",
        "streaming",
    )

    def __init__(self, max_head_bytes: int, max_body_bytes: int) -> None:
        self._parser = HttpResponseParser(self)
        self._max_head_bytes = max_head_bytes
        self._max_body_bytes = max_body_bytes
        self.expect(head_only=False, streams=False)

    def expect(self, *, head_only: bool, streams: bool) -> None:
        """Make ready for the response to the next request: to a HEAD, and whether an event stream may be streamed."""
        self._head_only = head_only
        self._streams = streams
        self._begun = self._head_done = self._http11 = self._interim = self._chunked = self._until_eof = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._noted: dict[bytes, bytes] = {}
        self._body: bytes | bytearray = b""
        self._last_piece = b""
        self._status = self._size = 0
        self._unproductive = 0  # bytes since the last one of a body: what no other bound counts
        self.complete = False
        """The response is whole."""
        self.reusable = False
        """The connection may carry another request once the response is complete."""
        self.streaming = False
        """The head is there, and the body is an event stream."""

    def feed(self, data: bytes) -> None:
        """Read on. Raises `BadResponse`; what follows a complete response only makes the connection unusable."""
        if not self._begun:
            self._begin(data)
        self._unproductive += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.reusable = False
            if not self.complete:
                _refuse(error)
        if self.complete:
            self.reusable = self.reusable and self._ends_with(data)
        elif self._unproductive > self._max_head_bytes:
            raise BadResponse(f"cannot read the response: over {self._max_head_bytes} bytes that are no body")

    def feed_eof(self) -> ConnectionLost | None:
        """Take the end of the connection: None if it is the end of a body that lasts until then, else the error."""
        if self._until_eof:
            self.complete = True
            return None
        where = f"after {self._size} bytes of its body" if self._head_done else "before its head"
        return ConnectionLost(f"cannot read the response: the connection ended {where}")

    def let_go(self) -> None:
        """End: nothing is read any more. The inner parser refers back to this one; a collection alone would free them.

        Collections of a thousand such pairs hold the event loop for tens of milliseconds.
        """
        del self._parser

    def response(self, stream: Chunks | None = None) -> Response:
        """Give what was read: with its whole body, or with `stream` that gets it."""
        if stream is not None:
            return Response(self._status, self._headers, b"", stream)
        return Response(self._status, self._headers, bytes(self._body))

    def take(self) -> bytes:
        """Give what came of the body since the last time."""
        body, self._body = self._body, b""
        return bytes(body)

    def on_message_begin(self) -> None:
        """Refuse a second response in the bytes of the first (the parser's event)."""
        if self.complete:
            raise BadResponse("cannot read the response: more bytes follow it")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers are dropped: whoever reads the head has gone on (the parser's event)."""
        if self._head_done:
            return
        name = name.lower()
        self._headers.append((name, value))
        if name in _NOTED:
            self._noted[name] = value if name not in self._noted else self._noted[name] + b", " + value

    def on_headers_complete(self) -> None:
        """Decide from the head how the body ends, or refuse it (the parser's event)."""
        self._status = self._parser.get_status_code()
        self._check_head()
        if self._status < _FINAL:
            self._interim = True
            return
        self._head_done = True
        self._unproductive = 0
        self._frame(self._noted)

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body, unless it may have none (the parser's event)."""
        if self.complete:
            return
        self._unproductive = 0
        self._size += len(piece)
        if self._size > self._max_body_bytes and not self.streaming:
            raise BadResponse(f"cannot read the response: its body is over {self._max_body_bytes} bytes")
        self._last_piece = piece
        if not self._body:
            self._body = piece  # the usual body is one piece, and is not copied
            return
        if isinstance(self._body, bytes):
            self._body = bytearray(self._body)
        self._body += piece  # not a list of pieces: one of a byte costs as much as one of forty

    def on_message_complete(self) -> None:
        """End the response, or go on to the one that an interim one announced (the parser's event)."""
        if not self._interim:
            self.complete = True
            return
        self._interim = self._http11 = False
        self._headers, self._noted = [], {}

    def _begin(self, data: bytes) -> None:
        """Look at the first bytes: the parser itself skips empty lines and takes two other protocols."""
        if not data.startswith(b"H"):
            raise BadResponse(f"cannot read the response: it is not HTTP: {data[:16]!r}")
        self._begun = True
        self._http11 = data.startswith(b"HTTP/1.1 ")

    def _check_head(self) -> None:
        """Refuse a version, a status or a size of the head that is not ours to read."""
        version = "1.1" if self._http11 else self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise BadResponse(f"cannot read the response: HTTP/{version}")
        self._http11 = version == "1.1"
        if self._status not in _STATUSES or self._status == _SWITCHING:
            raise BadResponse(f"cannot read the response: status {self._status}")
        if self._unproductive > self._max_head_bytes and self._head_bytes() > self._max_head_bytes:
            raise BadResponse(f"cannot read the response: its head is over {self._max_head_bytes} bytes")

    def _head_bytes(self) -> int:
        """Give the head's size, at least: the first bytes may hold some of the body too."""
        return sum(len(name) + len(value) + len(": \r\n") for name, value in self._headers)

    def _frame(self, noted: dict[bytes, bytes]) -> None:
        length, coding = noted.get(b"content-length"), noted.get(b"transfer-encoding")
        self.reusable = self._http11 and self._parser.should_keep_alive()
        if self._head_only or self._status in _BODILESS:
            self.reusable = self.reusable and length is None and coding is None
            self.complete = True
            return
        if coding is not None:
            self._chunked = coding.strip().lower() == b"chunked" and self._http11
            if not self._chunked:
                raise BadResponse(f"cannot read the response: Transfer-Encoding {coding[:32]!r}")
        elif length is None:
            self._until_eof = b"close" in noted.get(b"connection", b"").lower()
            if not self._until_eof:
                raise BadResponse("cannot read the response: neither a length nor Connection: close")
        self.streaming = self._streams and _is_event_stream(noted.get(b"content-type", b""))
        if length is not None and not self.streaming and int(length) > self._max_body_bytes:
            raise BadResponse(f"cannot read the response: a body of {int(length)} bytes, over {self._max_body_bytes}")

    def _ends_with(self, data: bytes) -> bool:
        """Tell whether the response is the last thing in `data`: the parser skips empty lines after it, silently."""
        if self._last_piece and not self._chunked:
            return data.endswith(self._last_piece)
        return data.endswith(b"\r\n\r\n") and not data.endswith(b"\n\r\n\r\n")


def _is_event_stream(content_type: bytes) -> bool:
    """Tell whether a body of this type is handed on as it comes (WHATWG HTML, server-sent events)."""
    return content_type.partition(b";")[0].strip().lower() == b"text/event-stream"


def _refuse(error: Exception) -> NoReturn:
    """Raise what one of our own events raised, which httptools wraps, or what its own rules found."""
    if isinstance(error.__context__, BadResponse):
        raise error.__context__ from None
    raise BadResponse(f"cannot read the response: {error}".lower()) from error
