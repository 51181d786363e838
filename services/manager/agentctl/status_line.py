"""A line at the foot of the terminal that says how something goes, and goes away itself."""

import sys
from typing import Final

from agentctl import terminal

_ERASE: Final = "\r\x1b[2K"
_MOST_COLUMNS: Final = 78
"""Where the terminal does not say how wide it is."""


class StatusLine:
    """One line on standard error, drawn over the last one; nothing where that is no terminal."""

    def __init__(self) -> None:
        self.wanted = sys.stderr.isatty()
        """Whether anybody sees it: then it is worth asking for what it says."""
        self._shown = False

    def show(self, text: str) -> None:
        """Draw it, cut to the terminal's width: a line that wraps could not be drawn over."""
        if not self.wanted:
            return
        columns = (terminal.width() or _MOST_COLUMNS + 1) - 1
        sys.stderr.write(_ERASE + terminal.one_line(text)[:columns])
        sys.stderr.flush()
        self._shown = True

    def clear(self) -> None:
        """Take it away, before something else is written or when it is over."""
        if self._shown:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
        self._shown = False
