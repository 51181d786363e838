"""One life of a child process that speaks JSON lines: what goes in, what comes out, how it ends."""

import asyncio
import asyncio.subprocess
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from agent_adapter.agents.child_guard import ChildGuard
from agent_adapter.agents.child_lines import read_lines

_LINE_BYTES: Final = 16 * 1024 * 1024
"""The longest line on stdout: a result of 10 MiB and its envelope, with room for escapes."""
_LOG_LINE_BYTES: Final = 1024 * 1024
_BUFFER_BYTES: Final = 256 * 1024
"""What is read ahead of a listener who waits; then the child's own writes wait."""
_END_SECONDS: Final = 1.0
"""How long a child may take to end once its stdin was closed."""
_TERMINATE_SECONDS: Final = 0.5
"""How long it may take after SIGTERM; then it is killed. With the second above it is within what a drain leaves."""
_LAST_WORDS_SECONDS: Final = 0.5
"""For what a child wrote before it died; only a process that left its group can make it take so long."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a child is started."""

    command: Sequence[str]
    environment: Mapping[str, str]
    name: str
    """What people call it in a message: `command 'node'`."""
    directory: str | None = None


class Listener(Protocol):
    """Who is told what a child says."""

    async def hear(self, line: bytes) -> None:
        """Take a line of its stdout; the next is read when this returns."""

    def misheard(self, excerpt: bytes) -> None:
        """Take the two ends of a line of its stdout that is too long."""

    def note(self, line: bytes) -> None:
        """Take a line of its stderr."""


class _Streams(asyncio.subprocess.SubprocessStreamProtocol):
    """Tells of the process's end at once: the library's `wait()` waits for its pipes too, which others may hold."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(_BUFFER_BYTES, loop)
        self.exited = asyncio.Event()

    def process_exited(self) -> None:
        """Note it: the event loop calls this."""
        super().process_exited()
        self.exited.set()


class Child:
    """A running child process."""

    def __init__(self, transport: asyncio.SubprocessTransport, streams: _Streams) -> None:
        self.pid = transport.get_pid()
        """Its process id, which is that of its process group too."""
        self._transport = transport
        self._streams = streams
        self._guard: ChildGuard | None = None
        self._swept = False

    @classmethod
    async def spawn(cls, launch: Launch) -> "Child":
        """Start the program; raises OSError when it cannot be.

        It is in a session of its own: Ctrl-C on a terminal must reach the adapter alone, which drains first.
        """
        loop = asyncio.get_running_loop()
        transport, streams = await loop.subprocess_exec(
            lambda: _Streams(loop),
            *launch.command,
            env=dict(launch.environment),
            cwd=launch.directory,
            start_new_session=True,
        )
        child = cls(transport, streams)
        try:
            child._guard = await ChildGuard.over(child.pid)
        except BaseException:
            child._sweep()
            transport.close()
            raise
        return child

    @property
    def has_exited(self) -> bool:
        """Whether it has ended; `serve` may still be reading its last words."""
        return self._streams.exited.is_set()

    async def send(self, message: msgspec.Struct) -> None:
        """Write one line; a child that has gone is not an error here: its end is noticed by `serve`."""
        stdin = self._streams.stdin
        if stdin is None or stdin.is_closing():
            return
        stdin.write(msgspec.json.encode(message) + b"\n")
        with contextlib.suppress(ConnectionError):
            await stdin.drain()

    async def serve(self, listener: Listener) -> int:
        """Tell the listener what it says until it ends, then kill what it started; gives its exit code."""
        try:
            async with asyncio.TaskGroup() as group:
                readers = (
                    group.create_task(_read(self._streams.stdout, listener)),
                    group.create_task(_read_log(self._streams.stderr, listener)),
                )
                await self._streams.exited.wait()
                self._sweep()
                await asyncio.wait(readers, timeout=_LAST_WORDS_SECONDS)
                for reader in readers:
                    reader.cancel()
        finally:
            self._sweep()
            self._transport.close()
            if self._guard is not None:
                await self._guard.release()
        return self._transport.get_returncode() or 0

    async def end(self) -> None:
        """Close its stdin, which tells it that no more work comes; then `terminate`."""
        stdin = self._streams.stdin
        if stdin is not None:
            stdin.close()
        try:
            if not await self._exits_within(_END_SECONDS):
                await self.terminate()
        finally:
            self._sweep()

    async def terminate(self) -> None:
        """Send SIGTERM to it and to what it started, and SIGKILL when that does not end it."""
        self._signal(signal.SIGTERM)
        if not await self._exits_within(_TERMINATE_SECONDS):
            self._signal(signal.SIGKILL)
            await self._streams.exited.wait()

    async def _exits_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._streams.exited.wait()
        return self.has_exited

    def _sweep(self) -> None:
        """Kill what is left of the group: it would hold the pipes open, and outlive the agent that started it."""
        self._signal(signal.SIGKILL)
        self._swept = True  # from now on the number of the group may be another's

    def _signal(self, number: signal.Signals) -> None:
        if not self._swept:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a zombie
                os.killpg(self.pid, number)


async def _read(stream: asyncio.StreamReader | None, listener: Listener) -> None:
    async for line in read_lines(stream, _LINE_BYTES):
        if line.whole:
            await listener.hear(line.text)
        else:
            listener.misheard(line.text)


async def _read_log(stream: asyncio.StreamReader | None, listener: Listener) -> None:
    async for line in read_lines(stream, _LOG_LINE_BYTES):
        listener.note(line.text)
