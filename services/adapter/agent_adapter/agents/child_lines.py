"""The lines of a child's output, however long it makes them: what is too long is cut, and memory stays bounded."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

_READ_BYTES: Final = 64 * 1024
_EXCERPT_BYTES: Final = 4096


class Line(NamedTuple):
    """A line without its end; one that was too long is its beginning and its end only, and not `whole`."""

    text: bytes
    whole: bool


class _Growing:
    """A line that is still being written."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._bytes = 0
        self._head: bytes | None = None

    def add(self, data: bytes) -> None:
        self._bytes += len(data)
        self._parts.append(data)
        if self._bytes > self._longest:
            joined = b"".join(self._parts)
            self._head = self._head or joined[:_EXCERPT_BYTES]
            self._parts = [joined[-_EXCERPT_BYTES:]]

    def end(self) -> Line:
        joined = b"".join(self._parts)
        return Line(joined, whole=True) if self._head is None else Line(self._head + b" ... " + joined, whole=False)

    @property
    def begun(self) -> bool:
        return self._bytes > 0


async def read_lines(stream: asyncio.StreamReader | None, longest: int) -> AsyncIterator[Line]:
    """Give each line until the stream ends; of one over `longest` bytes some 4 KiB at both ends."""
    growing = _Growing(longest)
    while stream is not None and (data := await stream.read(_READ_BYTES)):
        *ended, rest = data.split(b"\n")
        for piece in ended:
            growing.add(piece)
            yield growing.end()
            growing = _Growing(longest)
        if rest:
            growing.add(rest)
        await asyncio.sleep(0)  # what has been read ahead gives no other a turn: a flood of lines would hold the loop
    if growing.begun:
        yield growing.end()
