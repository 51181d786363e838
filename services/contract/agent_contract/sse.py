"""Event streams (WHATWG HTML, 9.2 server-sent events): writing them, keeping quiet ones alive, reading them."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import msgspec

STREAM_HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)
"""What every event stream's answer carries: no cache keeps it, and nginx buffers without the last one."""

COMMENT: Final = b":\n\n"
"""Readers skip it; proxies that cut silent connections see traffic."""

HEARTBEAT_SECONDS: Final = 15.0
"""Silence after which a comment is sent: proxies cut what is quiet for 60 s, some for 20."""

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
"""The largest event that is read: over the largest result (10 MiB), so only a broken sender meets it."""

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):  # noqa: N818  # what it is
    """A sender's event does not end within `MAX_EVENT_BYTES`."""


class Event(msgspec.Struct, frozen=True):
    """One event: its type, its data, and the id that resumes the stream after it (None: the sender gives none)."""

    event: str
    data: str
    id: str | None = None


def encode_event(event: str | None, data: bytes, id: str | None = None) -> bytes:  # noqa: A002  # the field's name
    """Give the bytes of one event whose data is JSON; line ends between its tokens (pretty-printed) are kept apart.

    Raises:
        ValueError: `event` or `id` holds a line end, with which it would become other fields.

    """
    head = ""
    for name, value in (("id", id), ("event", event)):
        if value is not None:
            if "\n" in value or "\r" in value:
                raise ValueError(f"cannot send an event: its {name} {value!r} holds a line end")
            head += f"{name}: {value}\n"
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(data.splitlines())
    return b"%bdata: %b\n\n" % (head.encode(), data)


async def with_heartbeat(
    source: AsyncIterator[bytes], every_seconds: float = HEARTBEAT_SECONDS
) -> AsyncGenerator[bytes, None]:
    """Give what `source` gives, and a comment for each `every_seconds` of its silence; close it on the way out.

    The source runs in one task of its own from its first step to its last, so that a timeout or a task group inside
    it stays whole, and is never cancelled for being slow. It is at most two items ahead of the reader.
    """
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
    pump = asyncio.create_task(_pump(source, queue))
    try:
        while (item := await _item_or_comment(queue, every_seconds)) is not None:
            yield item
        await pump  # raises what the source raised
    finally:
        pump.cancel()
        await asyncio.wait([pump])
        if not pump.cancelled():
            pump.exception()  # seen: a reader that left does not care


async def ended_by(event: asyncio.Event, source: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Give what `source` gives until `event` is set, so that a stream without an end of its own ends in order."""
    ended = asyncio.ensure_future(event.wait())
    waited_for: set[asyncio.Future[Any]] = {ended}
    try:
        while not ended.done():
            coming: asyncio.Future[bytes | None] = asyncio.ensure_future(anext(source, None))
            waited_for = {ended, coming}
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
            item = coming.result() if coming.done() else None
            if item is None:
                return
            yield item
    finally:
        for each in waited_for:
            each.cancel()
        await asyncio.wait(waited_for)
        await source.aclose()


async def _pump(source: AsyncIterator[bytes], queue: asyncio.Queue[bytes | None]) -> None:
    """Move the source's items into the queue; None says that no more will come."""
    try:
        async for item in source:
            await queue.put(item)
    except Exception:
        await queue.put(None)
        raise
    else:
        await queue.put(None)
    finally:
        if (close := getattr(source, "aclose", None)) is not None:
            await close()


async def _item_or_comment(queue: asyncio.Queue[bytes | None], seconds: float) -> bytes | None:
    if not queue.empty():
        return queue.get_nowait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await queue.get()
    return COMMENT


class EventParser:
    """Reads an event stream piece by piece, however its bytes are cut."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._searched = 0
        self._after_cr = False
        self._first_line = True
        self._size = 0
        self._event = ""
        self._data: list[str] = []
        self._id: str | None = None

    def feed(self, piece: bytes) -> list[Event]:
        """Give the events that `piece` ends, in order.

        Raises:
            EventTooLarge: an event does not end. The parser is of no use afterwards.

        """
        if self._after_cr and piece:
            piece = piece.removeprefix(b"\n")
            self._after_cr = False
        self._rest += piece
        events = [event for line in self._take_lines() if (event := self._line(line)) is not None]
        if self._size + len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLarge(f"cannot read the event stream: an event is longer than {MAX_EVENT_BYTES} bytes")
        return events

    def _take_lines(self) -> list[bytes]:
        lines: list[bytes] = []
        start = 0
        for end in _LINE_END.finditer(self._rest, self._searched):
            lines.append(bytes(self._rest[start : end.start()]))
            start = end.end()
        if start:
            self._after_cr = start == len(self._rest) and self._rest[-1:] == b"\r"
            del self._rest[:start]
        self._searched = len(self._rest)
        return lines

    def _line(self, line: bytes) -> Event | None:
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._dispatch()
        self._size += len(line)
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _dispatch(self) -> Event | None:
        event, data = self._event, self._data
        self._event, self._data, self._size = "", [], 0
        if not data:
            return None
        return Event(event or "message", "\n".join(data), self._id)
