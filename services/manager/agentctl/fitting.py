"""Which columns a terminal has room for: what nobody can do without stays whole, and what can be spared is left out."""

from collections.abc import Collection, Sequence
from typing import Final

SPARED: Final = (
    *("ADAPTER", "SEEN", "SOURCE", "SOURCES", "TITLE", "REASON", "NODE", "DEADLINE", "URL", "VERSION"),
    *("QUEUED", "RESTARTS", "REACHABLE", "AGE", "CALLER", "INSTANCE", "DESIRED", "DETAIL", "POD"),
)
"""Columns that may be left out, the first ones first."""
_LONGEST: Final = 40
"""A longer cell may be cut: it is text to read, not a name to type."""


def columns_with_room(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None, kept: Collection[str] = ()
) -> list[int]:
    """Give the places of the columns that fit into the width side by side, one space between; None: all.

    Those `kept`, and those that nobody can do without, are there in any case.
    """
    shown = list(range(len(columns)))
    if width is None:
        return shown
    widths = [max(len(cell) for cell in (name, *(row[at] for row in rows))) for at, name in enumerate(columns)]
    wanted = [min(each, _LONGEST) for each in widths]
    for name in (name for name in SPARED if name not in kept):
        if sum(wanted[at] for at in shown) + len(shown) - 1 <= width:
            break
        shown = [at for at in shown if columns[at] != name]
    return shown
