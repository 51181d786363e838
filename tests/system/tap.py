"""A tap on the line between two processes: it passes bytes on, notes what was asked, and loses answers when told to."""

import asyncio
import json
import re
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

_PIECE_BYTES = 65536
_POST = re.compile(rb"POST (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.DOTALL)
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Tap:
    """Listens on a port of its own and passes everything on to `target_port`.

    `loses` is asked at the first byte of each answer to `POST /execute`: whether it never arrives, and the connection
    ends in its place.
    """

    def __init__(self, target_port: int, loses: Callable[[], bool] = lambda: False) -> None:
        self._target_port = target_port
        self._loses = loses
        self._asked: list[bytearray] = []
        self._lines: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self.lost = 0

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut every line."""
        self._server.close()
        for writers in self._lines.values():
            for writer in writers:
                writer.transport.abort()
        await asyncio.gather(*self._lines)

    def posted(self, path: str) -> list[dict[str, Any]]:
        """Give the JSON bodies that were posted to a path, in the order of each line."""
        bodies: list[dict[str, Any]] = []
        for asked in self._asked:
            for request in _POST.finditer(asked):
                length = _LENGTH.search(request[2])
                if request[1].decode() == path and length is not None:
                    bodies.append(json.loads(asked[request.end() : request.end() + int(length[1])]))
        return bodies

    def forget(self) -> None:
        """Forget what was asked so far."""
        for asked in self._asked:
            asked.clear()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line is not None
        ends = self._lines[line] = [writer]
        try:
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            ends.append(target_writer)
            await self._line(reader, writer, target_reader, target_writer)
        except OSError:
            pass  # either side has gone: so does the other
        finally:
            del self._lines[line]
            for end in ends:
                end.transport.abort()

    async def _line(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        target_reader: asyncio.StreamReader,
        target_writer: asyncio.StreamWriter,
    ) -> None:
        asked = bytearray()
        self._asked.append(asked)
        executes = False

        async def upwards() -> None:
            nonlocal executes
            while piece := await reader.read(_PIECE_BYTES):
                asked.extend(piece)
                executes = piece.startswith(b"POST /execute ") or (executes and piece[:1] not in b"GPD")
                target_writer.write(piece)
                await target_writer.drain()

        async def downwards() -> None:
            while piece := await target_reader.read(_PIECE_BYTES):
                if executes and self._loses():
                    self.lost += 1
                    return
                writer.write(piece)
                await writer.drain()

        both = [asyncio.create_task(upwards()), asyncio.create_task(downwards())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)
