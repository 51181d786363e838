"""What goes to the terminal: results on standard output, notes on standard error, nothing that could steer it."""

import os
import re
import shutil
import sys
from typing import Any, Final, TextIO

from agent_contract.readable import harmless

_WHITE: Final = re.compile(r"[\n\t]+")
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")


def one_line(value: Any) -> str:  # noqa: ANN401  # any JSON value
    """Give a value from the network as text on one line, its control characters spelled out."""
    return _WHITE.sub(" ", harmless(str(value)))


def without_escapes(text: str) -> str:
    """Give `text` without the colours that it had, other control characters spelled out."""
    return harmless(_ESCAPES.sub("", text))


def colours(stream: TextIO) -> bool:
    """Tell whether colours belong on the stream: it is a terminal, and NO_COLOR is not set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int | None:
    """Give the columns of the terminal on standard output; None where it is a pipe or a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def say(text: str) -> None:
    """Write a line on standard output, at once: whoever reads the pipe sees it now."""
    put(text + "\n")


def put(text: str) -> None:
    """Write text on standard output as it is, at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def note(text: str) -> None:
    """Write a line for people on standard error, so that standard output holds the result alone."""
    sys.stderr.write(one_line(text) + "\n")
    sys.stderr.flush()
