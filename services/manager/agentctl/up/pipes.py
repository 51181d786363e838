"""Reading what a process writes, line by line, without ever waiting for its pipes when it is gone."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Final

_LONGEST_LINE: Final = 256 * 1024
"""A longer line is given in parts, so that a process without line breaks does not fill our memory."""


class LineReader(asyncio.Protocol):
    """Gives each line that comes out of a pipe to `on_line`, without its line break."""

    def __init__(self, on_line: Callable[[bytes], None]) -> None:
        self._on_line = on_line
        self._rest = b""
        self._transport: asyncio.BaseTransport | None = None
        self._ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the pipe."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Give the lines that are whole now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._on_line(line.rstrip(b"\r"))
        if len(self._rest) > _LONGEST_LINE:
            self._on_line(self._rest)
            self._rest = b""

    def connection_lost(self, exc: Exception | None) -> None:
        """Give what stands after the last line break."""
        del exc
        if self._rest:
            self._on_line(self._rest)
        self._rest = b""
        self._ended.set()

    async def finish(self, seconds: float) -> None:
        """Wait for the end of the pipe, at most so long: a grandchild may hold it open for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        self.close()

    def close(self) -> None:
        """Read no more."""
        if self._transport is not None:
            self._transport.close()


async def open_pipe(on_line: Callable[[bytes], None]) -> tuple[int, LineReader]:
    """Give the writing end of a new pipe, for a child, and the reader of its other end."""
    reading, writing = os.pipe()
    loop = asyncio.get_running_loop()
    _, reader = await loop.connect_read_pipe(lambda: LineReader(on_line), os.fdopen(reading, "rb", buffering=0))
    return writing, reader
