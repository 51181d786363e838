"""Server-sent events, written and read (WHATWG HTML, section 9.2)."""

import asyncio
import codecs
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from msgspec import Struct

STREAM_HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)
"""No cache keeps it and no proxy buffers it."""
COMMENT: Final = b":\n\n"
HEARTBEAT_SECONDS: Final = 15.0
"""Silence after which a comment is sent: proxies cut what is quiet for 60 s, some for 20."""
_LONGEST_LINE: Final = 32 * 1024 * 1024


class Event(Struct, frozen=True):
    """One event of a stream."""

    event: str
    data: str
    id: str | None = None


def encode_event(event: str | None, data: bytes, id: str | None = None) -> bytes:  # noqa: A002  # the field's name
    """Give an event's bytes; `data` is JSON text and so has no line break in it."""
    parts = []
    if id is not None:
        parts.append(b"id: " + id.encode() + b"\n")
    if event is not None:
        parts.append(b"event: " + event.encode() + b"\n")
    return b"".join((*parts, b"data: ", data, b"\n\n"))


async def with_heartbeat(
    source: AsyncIterator[bytes], every_seconds: float = HEARTBEAT_SECONDS
) -> AsyncGenerator[bytes, None]:
    """Give what `source` gives, and a comment for each `every_seconds` of silence."""
    pending: asyncio.Future[bytes] | None = None
    try:
        while True:
            if pending is None:
                pending = asyncio.ensure_future(anext(source))
            done, _ = await asyncio.wait({pending}, timeout=every_seconds)
            if not done:
                yield COMMENT
                continue
            try:
                item = pending.result()
            except StopAsyncIteration:
                return
            finally:
                pending = None
            yield item
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.wait({pending})
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()


class EventParser:
    """Reads events from the pieces of a stream, however they were cut."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = self._held = ""
        self._started = False
        self._event = ""
        self._id: str | None = None
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[Event]:
        """Give the events that are whole now; raises ValueError on a line of over 32 MiB."""
        text = self._rest + self._decoder.decode(data)
        if not self._started and text:
            self._started, text = True, text.removeprefix("\ufeff")
        lines = text.replace("\r\n", "\n").replace("\r", "\n") if not text.endswith("\r") else None
        if lines is None:  # a CR at the end may be half of a CRLF
            head, self._held = text[:-1], "\r"
            lines = head.replace("\r\n", "\n").replace("\r", "\n")
        else:
            self._held = ""
        *whole, last = lines.split("\n")
        self._rest = last + self._held
        if len(self._rest) > _LONGEST_LINE:
            raise ValueError(f"a line of the stream is longer than {_LONGEST_LINE} characters")
        return [event for line in whole if (event := self._line(line)) is not None]

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _dispatch(self) -> Event | None:
        event, data = self._event or "message", self._data
        self._event, self._data = "", []
        return Event(event, "\n".join(data), self._id) if data else None
