"""`print` of agent code as log lines, with the id of the task that printed."""

import io
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

_LONGEST: Final = 64 * 1024
"""Characters of one line; a longer one is cut into several, so that a program that never ends a line stays bounded."""


class LineStream(io.TextIOBase):
    """A text stream that hands on whole lines; threads that write at the same time do not mix theirs."""

    def __init__(self, say: Callable[[str], Any]) -> None:
        self._say = say
        self._begun = threading.local()

    def writable(self) -> bool:
        """Tell that it takes text."""
        return True

    def write(self, text: str) -> int:
        """Hand on the lines that `text` ends; the rest waits for its end."""
        *lines, rest = (getattr(self._begun, "line", "") + text).split("\n")
        while len(rest) > _LONGEST:
            lines.append(rest[:_LONGEST])
            rest = rest[_LONGEST:]
        self._begun.line = rest
        for line in lines:
            if line:
                self._say(line)
        return len(text)


def print_to_log() -> None:
    """Send what agent code prints to the log; the log itself keeps the real standard output."""
    import structlog  # noqa: PLC0415  # an isolated agent's process prints through LineStream without its 60 ms

    sys.stdout = LineStream(structlog.stdlib.get_logger("print").info)
