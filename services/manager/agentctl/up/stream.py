"""The one readable stream of all processes: each line under its name, and a status line below them on a terminal."""

import shutil
from collections.abc import Iterable
from typing import Final, TextIO

from agent_contract.readable import harmless

from agentctl.log_lines import readable
from agentctl.terminal import colours, one_line

_COLOURS: Final = ("36", "33", "35", "34", "32", "96", "93", "95", "94", "92")
_OWN: Final = "agentctl"
_ERASE: Final = "\r\x1b[2K"


class Stream:
    """Writes lines of several processes to one text stream. A reader that goes away silences it and ends nothing."""

    def __init__(self, output: TextIO, names: Iterable[str]) -> None:
        known = [_OWN, *names]
        self._output = output
        self._colour = colours(output)
        self._in_place = output.isatty()
        self._width = max(len(name) for name in known)
        self._colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(known[2:])}
        self._status = ""
        self._broken = False

    @property
    def in_place(self) -> bool:
        """Tell whether a status line can be redrawn where it stands."""
        return self._in_place

    def log(self, name: str, line: bytes) -> None:
        """Write one line of a process: a JSON log line for the eyes, anything else as it is."""
        self._write(name, readable(line.decode("utf-8", "replace"), colour=self._colour, under=name))

    def say(self, text: str) -> None:
        """Write a line, or several, of our own; what an agent said of itself may be among it."""
        self._write(_OWN, harmless(text))

    def status(self, text: str) -> None:
        """Show `text` below all lines until it is replaced, none if empty; nothing where there is no terminal."""
        if self._in_place:
            width = shutil.get_terminal_size().columns - 1  # a line that wraps cannot be erased
            self._status = one_line(text)[:width]
            self._put(_ERASE + self._status)

    def _write(self, name: str, text: str) -> None:
        head = f"{name:<{self._width}}"
        colour = self._colours.get(name, "1")
        mark = f"\x1b[{colour}m{head} |\x1b[0m" if self._colour else f"{head} |"
        lines = "".join(f"{mark} {line}".rstrip() + "\n" for line in text.split("\n"))
        self._put((_ERASE if self._status else "") + lines + self._status)

    def _put(self, text: str) -> None:
        if self._broken:
            return
        try:
            self._output.write(text)
            self._output.flush()
        except OSError:
            self._broken = True  # the terminal was closed: agents are not drained by that, but by the order to leave
