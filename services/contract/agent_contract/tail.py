"""The end of a log file: its last lines, read by seeking back, and its new ones as they come."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, Final

_BLOCK_BYTES: Final = 64 * 1024
_LONGEST_TAIL_BYTES: Final = 16 * 1024 * 1024
"""What a tail reads back at most: 5,000 lines of 3 KB."""
_POLL_SECONDS: Final = 0.2
"""How often a follower looks for new lines: one stat and at most one read, cheap enough for the event loop."""


def read_tail(path: Path, lines: int) -> list[str]:
    """Give the last `lines` whole lines, oldest first; raises OSError. Blocks for well under a millisecond."""
    with path.open("rb") as file:
        return _tail(file, lines)[0]


async def follow(path: Path, lines: int) -> AsyncIterator[str]:
    """Give the last `lines` lines, then each new one, over rotation and truncation; raises OSError at its start."""
    file: BinaryIO = path.open("rb")
    try:
        tail, rest = _tail(file, lines)
        for line in tail:
            yield line
        while True:
            new, rest = _split(rest + file.read(_LONGEST_TAIL_BYTES))
            for line in new:
                yield line
            if not new:
                rotated = _reopened(path, file)
                if rotated is not None:
                    file.close()
                    file, rest = rotated, b""
                    continue
                await asyncio.sleep(_POLL_SECONDS)
    finally:
        file.close()


def _tail(file: BinaryIO, lines: int) -> tuple[list[str], bytes]:
    """Give the last whole lines and what follows them; the file is left at its end."""
    end = file.seek(0, os.SEEK_END)
    start, found = end, b""
    while start > 0 and found.count(b"\n") <= lines and end - start < _LONGEST_TAIL_BYTES:
        step = min(_BLOCK_BYTES, start)
        start -= step
        file.seek(start)
        found = file.read(step) + found
    file.seek(start + len(found))
    whole, rest = _split(found)
    return whole[-lines:], rest


def _split(data: bytes) -> tuple[list[str], bytes]:
    *whole, rest = data.split(b"\n")
    return [line.decode("utf-8", "replace") for line in whole], rest


def _reopened(path: Path, file: BinaryIO) -> BinaryIO | None:
    """Give the file that has taken this one's place, or the same one after it was cut; None when nothing changed."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return None  # between the two renames of a rotation
    ours = os.fstat(file.fileno())
    if there.st_ino != ours.st_ino or there.st_size < file.tell():
        return path.open("rb")
    return None
