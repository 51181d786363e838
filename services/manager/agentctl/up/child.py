"""One process of ours: how it is started, read, told to leave, and what its end means."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from agentctl.up import leash
from agentctl.up.pipes import LineReader, open_pipe
from agentctl.up.plan import Program

_LAST_LINES_SECONDS: Final = 0.5
"""What a process wrote before its end is in the pipe; only another process that holds the pipe keeps it open."""
_WAY: Final = "kernel" if sys.platform == "linux" else "poll"


class Child:
    """A running process in a session of its own: Ctrl-C at the terminal reaches `agentctl` alone."""

    def __init__(self, process: asyncio.subprocess.Process, readers: tuple[LineReader, ...]) -> None:
        self._process = process
        self._readers = readers

    @classmethod
    async def start(
        cls, program: Program, on_output: Callable[[bytes], None], on_error: Callable[[bytes], None]
    ) -> Self:
        """Start the program, on a leash that ends it when this process dies.

        Its output comes through pipes of our own making: those of asyncio would let a grandchild that holds one open
        hide the end of the process. Raises OSError where the machine can start no more.
        """
        output, output_reader = await open_pipe(on_output)
        error, error_reader = await open_pipe(on_error)
        leashed = (sys.executable, "-I", "-S", str(Path(leash.__file__)), str(os.getpid()), _WAY, sys.executable)
        try:
            process = await asyncio.create_subprocess_exec(
                *leashed,
                *program.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=error,
                env={**os.environ, **program.environment},
                start_new_session=True,
            )
        except OSError:
            output_reader.close()
            error_reader.close()
            raise
        finally:
            os.close(output)
            os.close(error)
        return cls(process, (output_reader, error_reader))

    async def wait(self) -> int:
        """Give the exit code, minus the signal for a killed one, once it has ended and its last lines were read."""
        code = await self._process.wait()
        for reader in self._readers:
            await reader.finish(_LAST_LINES_SECONDS)
        return code

    def send(self, number: int) -> None:
        """Send a signal; nothing where the process has just ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)


def ending(code: int) -> str:
    """Give an exit code in words: `exit code 1`, `killed by SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
