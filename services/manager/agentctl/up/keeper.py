"""Keeping one program running: again after a crash, not after it was told to leave."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from typing import Final

from agentctl.failures import Exit
from agentctl.terminal import without_escapes
from agentctl.up.backoff import Backoff
from agentctl.up.child import Child, ending
from agentctl.up.plan import Program
from agentctl.up.stream import Stream

_HURRY_EVERY_SECONDS: Final = 0.2
"""Two signals of a kind that arrive at once are one to the process: they are sent one after the other."""
_HURRY_SECONDS: Final = 5.0
"""A process that does not leave on SIGINT for so long is stuck: it is killed."""


class Keeper:
    """Supervises one program; `keep` runs until it has left for good."""

    def __init__(
        self,
        program: Program,
        stream: Stream,
        *,
        how_to_start: str,
        clock: Callable[[], float] = time.monotonic,
        backoff: Backoff | None = None,
    ) -> None:
        self.program = program
        self.alive = False
        self._stream = stream
        self._how_to_start = how_to_start
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._child: Child | None = None
        self._leaving = False
        self._replacing = False
        self._news = asyncio.Event()
        self._last_error = ""

    async def keep(self) -> str | None:
        """Run the program until it has left; give its last words if its configuration was bad (exit code 2)."""
        while not self._leaving:
            born = self._clock()
            code = await self._live()
            if self._leaving:
                self._stream.say(f"{self.program.name} has left" + (f" ({ending(code)})" if code else ""))
            elif code == Exit.USAGE:
                return self._last_error or "bad configuration"
            elif code == 0 and not self._replacing:
                self._stream.say(f"{self.program.name} was stopped from outside; {self._how_to_start}")
                return None
            elif not self._replacing:
                await self._pause(code, self._clock() - born)
            self._replacing = False
        return None

    def leave(self) -> None:
        """Tell the program to leave, with one SIGTERM, and do not start it again."""
        if not self._leaving:
            self._leaving = True
            self._news.set()
            if not self._replacing:  # one that is being replaced has had its order
                self._send(signal.SIGTERM)

    def replace(self) -> None:
        """Have the program drain and start anew; one that waits after a crash starts at once."""
        self._news.set()
        if self.alive and not self._replacing and not self._leaving:
            self._replacing = True
            self._send(signal.SIGTERM)

    async def hurry(self) -> None:
        """Have the program leave at once: SIGINT until it has, SIGKILL if it does not."""
        self._leaving = True
        self._news.set()
        deadline = self._clock() + _HURRY_SECONDS
        while self.alive and self._clock() < deadline:
            self._send(signal.SIGINT)
            await asyncio.sleep(_HURRY_EVERY_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the program without asking it."""
        self._leaving = True
        self._news.set()
        self._send(signal.SIGKILL)

    async def _live(self) -> int:
        try:
            self._child = await Child.start(self.program, self._on_output, self._on_error)
        except OSError as error:
            self._stream.say(f"cannot start {self.program.name}: {error.strerror}")
            return Exit.FAILED
        self.alive = True
        self._news.clear()
        if self._leaving:  # the order came while it was started
            self._send(signal.SIGTERM)
        try:
            return await self._child.wait()
        finally:
            self.alive, self._child = False, None

    async def _pause(self, code: int, lived_seconds: float) -> None:
        delay = self._backoff.after(lived_seconds)
        self._stream.say(f"{self.program.name} crashed ({ending(code)}); starting it again in {delay:.1f} s")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._news.wait()

    def _send(self, number: int) -> None:
        if self._child is not None:
            self._child.send(number)

    def _on_output(self, line: bytes) -> None:
        self._stream.log(self.program.name, line)

    def _on_error(self, line: bytes) -> None:
        self._last_error = without_escapes(line.decode("utf-8", "replace")).strip() or self._last_error
        self._stream.log(self.program.name, line)
