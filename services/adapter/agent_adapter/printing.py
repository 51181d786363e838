"""`print` of agent code as log lines, with the id of the task that printed."""

import io
import sys
from typing import Final

import structlog

_LONGEST: Final = 64 * 1024
"""Characters of one line; a longer one is cut into several, so that a program that never ends a line stays bounded."""


class _LineLog(io.TextIOBase):
    """A text stream whose lines are logged."""

    def __init__(self) -> None:
        self._log = structlog.stdlib.get_logger("print")
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        while len(self._rest) > _LONGEST:
            lines.append(self._rest[:_LONGEST])
            self._rest = self._rest[_LONGEST:]
        for line in lines:
            if line:
                self._log.info(line)
        return len(text)


def print_to_log() -> None:
    """Send what agent code prints to the log; the log itself keeps the real standard output."""
    sys.stdout = _LineLog()
