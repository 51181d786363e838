"""The end of a log file, and its new lines as they come, over rotation and truncation."""

import asyncio
import itertools
import os
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from io import FileIO
from typing import Final

import msgspec

POLL_SECONDS: Final = 0.2
"""How often a followed file is looked at: a person sees no delay, and 100 followers cost 500 looks a second."""

MAX_LINE_BYTES: Final = 64 * 1024
"""Longer lines are cut here and end with an ellipsis: a traceback fits, a result that was printed does not."""

MAX_TAIL_BYTES: Final = 8 * 1024 * 1024
"""How far back a tail is looked for: 5,000 lines of 1.6 KiB."""

GAP: Final = "log lines may be missing here"
"""The message of the line that stands where a follower cannot tell what came between."""

_BLOCK_BYTES: Final = 64 * 1024
_TURN_BYTES: Final = 256 * 1024
"""What one turn of the event loop reads of a file that grows fast: well under a millisecond."""


def read_tail(path: str | os.PathLike[str], lines: int) -> list[str]:
    """Give the last `lines` lines of a file, oldest first, the last one also without its end.

    Bytes that are not UTF-8 are replaced. It reads back in blocks, so its time does not depend on the file's size.

    Raises:
        OSError: the file cannot be read.

    """
    with FileIO(os.fspath(path)) as file:
        ended, rest = _last_lines(file, lines)
    return [_text(line) for line in ([*ended, rest] if rest else ended)[-lines:]]


async def follow(
    path: str | os.PathLike[str], lines: int, *, poll_seconds: float = POLL_SECONDS
) -> AsyncGenerator[str, None]:
    """Give the last `lines` lines of a file, then each new one once it is whole, until the reader closes this.

    When another file takes the path (rotation), the old one is read to its end first, then those that came between; a
    line says so where one of these is gone already. A file that shrank is read again from its start. All of it runs on
    the event loop: a look is a stat and a bounded read, a few microseconds on the volume that this process itself logs
    to, while the threads may all be held by agents.

    Raises:
        OSError: the file cannot be read.

    """
    followed = _Followed(os.fspath(path))
    try:
        for line in followed.tail(lines):
            yield line
        while True:
            new = followed.look()
            for line in new:
                yield line
            await asyncio.sleep(0 if new else poll_seconds)
    finally:
        followed.close()


class _Followed:
    """One open log file and what of its last line has come."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = FileIO(path)
        self._cutter = _Cutter()

    def tail(self, lines: int) -> list[str]:
        """Give the last `lines` whole lines; the reading goes on behind them."""
        ended, rest = _last_lines(self._file, lines)
        return [_text(line) for line in ended[-lines:]] + self._cutter.feed(rest)

    def look(self) -> list[str]:
        """Give the lines that have come since the last look, at most those of one turn."""
        # Asked before the read: what the writer still wrote to a file that had lost its path is then read first.
        moved = self._moved()
        data = self._file.read(_TURN_BYTES)
        if data:
            return self._cutter.feed(data)
        if moved:
            return self._go_on_with_successor()
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)
            self._cutter = _Cutter()
        return []

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _moved(self) -> bool:
        try:
            there = os.stat(self._path)  # noqa: PTH116  # a Path would be built at every look
        except FileNotFoundError:
            return False  # between the rename and the new file
        return not os.path.samestat(there, os.fstat(self._file.fileno()))

    def _go_on_with_successor(self) -> list[str]:
        number, lost = self._successor()
        try:
            successor = FileIO(_rotated(self._path, number))
        except FileNotFoundError:
            return []
        self._file.close()
        self._file = successor
        cutter, self._cutter = self._cutter, _Cutter()
        return [*cutter.end(), *([gap_line()] if lost else [])]

    def _successor(self) -> tuple[int, bool]:
        """Give the number of the file that follows ours (0: that at the path), and whether others came between.

        Looked at in the order in which files move, so that one that moves meanwhile is met again.
        """
        own = os.fstat(self._file.fileno())
        following: list[int] = []
        for number in itertools.count():
            try:
                there = os.stat(_rotated(self._path, number))  # noqa: PTH116  # as above
            except FileNotFoundError:
                if number:
                    break
                continue
            if os.path.samestat(there, own):
                return max(number - 1, 0), False
            if there.st_mtime_ns >= own.st_mtime_ns:  # an older one is left from before ours
                following.append(number)
        return (following[-1], len(following) > 1) if following else (0, False)


class _Cutter:
    """Cuts bytes into lines, however they come: one without its end waits for it, one that is too long is cut."""

    def __init__(self) -> None:
        self._rest = b""
        self._cut = False  # the present line was given when it grew too long; what is left of it is not wanted

    def feed(self, data: bytes) -> list[str]:
        """Give the lines that `data` ends."""
        *ended, rest = (self._rest + data).split(b"\n")
        lines = [_text(line) for line in ended]
        if self._cut and ended:
            del lines[0]
            self._cut = False
        if self._cut:
            rest = b""
        elif len(rest) > MAX_LINE_BYTES:
            lines.append(_text(rest))
            self._cut, rest = True, b""
        self._rest = rest
        return lines

    def end(self) -> list[str]:
        """Give the line that nobody will end any more, if there is one."""
        return self.feed(b"\n") if self._rest else []


def gap_line(at: datetime | None = None) -> str:
    """Give the line that stands where others may be missing; `at` is when the next one was written."""
    time = (at or datetime.now(UTC)).astimezone(UTC)
    members = {"timestamp": f"{time:%Y-%m-%dT%H:%M:%S.%fZ}", "level": "warning", "message": GAP, "logger": __name__}
    return msgspec.json.encode(members).decode()


def _rotated(path: str, number: int) -> str:
    """Give the path that a log file has after so many rotations (logging.handlers.RotatingFileHandler)."""
    return f"{path}.{number}" if number else path


def _last_lines(file: FileIO, lines: int) -> tuple[list[bytes], bytes]:
    """Give at least the last `lines` ended lines, or all within `MAX_TAIL_BYTES`, and what stands behind the last.

    Leaves the file's position behind what it read.
    """
    end = start = file.seek(0, os.SEEK_END)
    blocks: list[bytes] = []
    ends = 0
    while start > 0 and ends <= lines and end - start < MAX_TAIL_BYTES:
        size = min(_BLOCK_BYTES, start)
        start -= size
        file.seek(start)
        blocks.append(file.read(size))
        ends += blocks[-1].count(b"\n")
    file.seek(end)
    *ended, rest = b"".join(reversed(blocks)).split(b"\n")
    return (ended[1:] if start else ended), rest


def _text(line: bytes) -> str:
    text = line[:MAX_LINE_BYTES].decode("utf-8", "replace").removesuffix("\r")
    return text if len(line) <= MAX_LINE_BYTES else text + "…"
