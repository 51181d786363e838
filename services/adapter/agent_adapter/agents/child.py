"""One life of a child process that speaks JSON lines: what goes in, what comes out, how it ends."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog

_LINE_BYTES: Final = 16 * 1024 * 1024
"""The longest line from a child: a result of 10 MiB and its envelope, with room for escapes."""
_END_SECONDS: Final = 1.0
"""How long a child may take to end after its stdin was closed, and again after SIGTERM."""

log = structlog.stdlib.get_logger(__name__)


class Child:
    """A running child process. `on_message` is told each JSON object of its stdout, in order."""

    def __init__(self, process: asyncio.subprocess.Process, on_message: Callable[[dict[str, Any]], Any]) -> None:
        self._process = process
        self._on_message = on_message

    @classmethod
    async def spawn(
        cls,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: str | None,
        on_message: Callable[[dict[str, Any]], Any],
    ) -> "Child":
        """Start the program; raises OSError when it cannot be.

        It is in a session of its own: Ctrl-C on a terminal must reach the adapter alone, which drains first.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environment),
            cwd=directory,
            limit=_LINE_BYTES,
            start_new_session=True,
        )
        return cls(process, on_message)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def send(self, message: Mapping[str, Any]) -> None:
        """Write one line; a child that has gone is not an error here: its end is noticed by `serve`."""
        stdin = self._process.stdin
        if stdin is None or stdin.is_closing():
            return
        stdin.write(msgspec.json.encode(message) + b"\n")
        with contextlib.suppress(ConnectionError):
            await stdin.drain()

    async def serve(self) -> int:
        """Read what it says until it ends; gives its exit code."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_stdout())
            group.create_task(self._read_stderr())
        return await self._process.wait()

    def terminate(self) -> None:
        """Send SIGTERM to it and to what it started."""
        self._signal(signal.SIGTERM)

    async def end(self) -> None:
        """Close its stdin, which tells it that no more work comes; then SIGTERM, then SIGKILL."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_SECONDS):
                    await self._process.wait()
                    return
            self._signal(number)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def _read_stdout(self) -> None:
        async for line in _lines(self._process.stdout):
            try:
                message = msgspec.json.decode(line)
            except (msgspec.DecodeError, RecursionError):
                message = None
            if isinstance(message, dict):
                done = self._on_message(message)
                if done is not None:
                    await done
            elif line.strip():
                log.warning("child said something that is not a JSON object", line=line[:500].decode(errors="replace"))

    async def _read_stderr(self) -> None:
        async for line in _lines(self._process.stderr):
            log.info(line.decode(errors="replace").rstrip(), logger="child")


async def _lines(stream: asyncio.StreamReader | None) -> Any:  # noqa: ANN401  # an async generator of bytes
    while stream is not None:
        try:
            line = await stream.readline()
        except ValueError:
            log.warning("child wrote a line that is too long, dropped", limit_bytes=_LINE_BYTES)
            continue
        if not line:
            return
        yield line
