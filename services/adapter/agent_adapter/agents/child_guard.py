"""A watch over a child process: whatever kills the adapter, the child and what it started do not outlive it.

A child that reads its stdin sees the adapter's end there; one that computes, hangs or holds its interpreter does not.
So a shell of 1 MB, in a session of its own, waits on a pipe that only the adapter holds: when that breaks, it ends the
child's process group. Linux has a parent-death signal for this, but it does not reach what the child started, and
other systems lack it.
"""

import asyncio
import asyncio.subprocess
import contextlib
from typing import Final

import structlog

_SCRIPT: Final = 'read -r _ || { kill -s TERM -- "-$1"; sleep 1; kill -s KILL -- "-$1"; } 2>/dev/null'
_SHELL: Final = "/bin/sh"

log = structlog.stdlib.get_logger(__name__)


class ChildGuard:
    """Ends a process group when this process is gone."""

    def __init__(self, shell: asyncio.subprocess.Process | None) -> None:
        self._shell = shell

    @classmethod
    async def over(cls, group: int) -> "ChildGuard":
        """Give a guard of this process group; where there is no shell, one that does nothing."""
        try:
            shell = await asyncio.create_subprocess_exec(
                *(_SHELL, "-c", _SCRIPT, "agent-child-guard", str(group)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            log.warning("cannot guard the child: it may outlive a killed adapter", shell=_SHELL, error=error.strerror)
            return cls(None)
        return cls(shell)

    async def release(self) -> None:
        """End the guard without a kill: its group is gone, and another may get its number."""
        if self._shell is None or self._shell.stdin is None:
            return
        with contextlib.suppress(ConnectionError):
            self._shell.stdin.write(b"\n")
            await self._shell.stdin.drain()
        self._shell.stdin.close()
        await self._shell.wait()
