"""One request and its answer: uvicorn's cycle, with the answer in one write and failures as problems."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import structlog
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

from agent_contract.problems import MEDIA_TYPE, Problem

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent, HTTPScope

_JOINED_BYTES: Final = 64 * 1024
"""Bodies up to this size are copied behind their head, which saves a system call of 5 us; larger ones cost more."""

_UVICORN_LOG: Final = logging.getLogger(__name__)  # asked for by the constructor; whatever wrote to it is replaced
_log: Final = structlog.stdlib.get_logger(__name__)


class Exchange(RequestResponseCycle):
    """A request with the application. `follower`: its answer has no end of its own, nobody waits for it to leave."""

    follower = False

    def __init__(
        self,
        scope: "HTTPScope",
        transport: asyncio.Transport,
        flow: FlowControl,
        default_headers: list[tuple[bytes, bytes]],
        on_response: Callable[[], None],
        *,
        expects_continue: bool,
        wants_keep_alive: bool,
    ) -> None:
        super().__init__(
            scope=scope,
            transport=transport,
            flow=flow,
            logger=_UVICORN_LOG,
            access_logger=_UVICORN_LOG,
            access_log=False,
            default_headers=default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=expects_continue,
            keep_alive=wants_keep_alive,
            on_response=on_response,
        )
        self.wants_keep_alive = wants_keep_alive
        self._head = b""  # written with the first piece of the body, when that follows at once

    @property
    def unwritten(self) -> bool:
        """Whether nothing of the answer has been written yet."""
        return not self.response_started or bool(self._head)

    async def run_asgi(self, app: "ASGI3Application") -> None:
        """Let the application answer; what it leaves unanswered becomes a 500, what it leaves half-said is cut."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._fail()
            raise
        except Exception as error:  # noqa: BLE001  # the application may raise anything; its caller gets an answer
            self._complain("the application failed", error)
            self._fail()
        else:
            if not self.response_complete and not self.disconnected:
                self._complain("the application returned without a whole answer", None)
                self._fail()
        finally:
            self.on_response = _nothing  # breaks the reference cycle with the connection

    async def send(self, message: "ASGISendEvent") -> None:
        """Take an ASGI message of the answer; waits while the client reads more slowly than the application writes."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.body" and self.response_started and not self.response_complete:
            self._send_body(message)
        elif message["type"] == "http.response.start" and not self.response_started:
            self._send_head(message)
        else:
            raise RuntimeError(f"cannot send {message['type']!r}: the answer is not there yet, or over")

    def answer_with(self, problem: Problem) -> None:
        """Answer with a problem in the application's place, and let the connection end; nothing was written yet."""
        self._head = b""
        self.keep_alive = False
        self.response_started = self.response_complete = True
        self.transport.write(problem_bytes(problem, self.default_headers))
        self.message_event.set()
        self.on_response()

    def _send_head(self, message: "HTTPResponseStartEvent") -> None:
        lines = [STATUS_LINE[message["status"]]]
        says_close = False
        for name, value in (*self.default_headers, *message.get("headers", ())):
            if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
                raise RuntimeError(f"cannot send the header {name!r}: it holds characters that end it")
            name = name.lower()  # noqa: PLW2901  # the same header
            if name == b"content-length" and self.chunked_encoding is None:
                self.expected_content_length, self.chunked_encoding = int(value), False
            elif name == b"transfer-encoding" and value.lower() == b"chunked":
                self.expected_content_length, self.chunked_encoding = 0, True
            elif name == b"connection" and b"close" in value.lower():
                self.keep_alive, says_close = False, True
            lines += (name, b": ", value, b"\r\n")
        if not self.keep_alive and not says_close:
            lines.append(b"connection: close\r\n")
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and message["status"] not in (204, 304):
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        self.response_started, self.waiting_for_100_continue = True, False
        if self.chunked_encoding:  # a stream: its reader sees the head before the first event
            self.transport.write(b"".join(lines))
        else:
            self._head = b"".join(lines)

    def _send_body(self, message: "HTTPResponseBodyEvent") -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            self.expected_content_length, body = 0, b""
        elif self.chunked_encoding:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (self.expected_content_length and not more):
                raise RuntimeError("cannot send the body: its length is not the content-length that was said")
        self._write(body)
        if not more:
            self.response_complete = True
            self.message_event.set()
            self.on_response()

    def _write(self, body: bytes) -> None:
        if self._head:
            if len(body) > _JOINED_BYTES:
                self.transport.write(self._head)
            else:
                body = self._head + body
            self._head = b""
        self.transport.write(body)

    def _fail(self) -> None:
        if self.disconnected or self.response_complete:
            return
        if self.unwritten:
            self.answer_with(Problem("internal-error", "the service failed; its log says how"))
        else:
            self.transport.close()  # before its end, so that the client sees that it is not whole

    def _complain(self, what: str, error: Exception | None) -> None:
        _log.error(what, method=self.scope["method"], path=self.scope["path"], exc_info=error)


def problem_bytes(problem: Problem, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Give a whole answer, head and body, that closes its connection."""
    body = problem.body()
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"%b%bcontent-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (
        STATUS_LINE[problem.status],
        lines,
        MEDIA_TYPE,
        len(body),
        body,
    )


def _nothing(*_: Any) -> None:  # noqa: ANN401  # whatever it is called with
    """Do nothing."""
