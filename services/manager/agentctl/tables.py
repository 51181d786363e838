"""Text tables as kubectl prints them: aligned, one row a line; on a terminal coloured and never wrapped."""

import sys
from collections.abc import Sequence
from typing import Final

import click

from agentctl import terminal

_GAPS: Final = (3, 2, 1)
"""Spaces between columns: fewer where that spares cutting a cell."""
_NARROWEST: Final = 5
_COLOURS: Final = {
    "running": "green",
    "succeeded": "green",
    "starting": "cyan",
    "queued": "cyan",
    "paused": "yellow",
    "stopping": "magenta",
    "cancelled": "yellow",
    "failed": "red",
}
"""Of the words in STATE columns; what stands under PROBLEM is red."""

Row = Sequence[str]


class Table:
    """A table whose columns keep their widths, so that rows that come later stand below the first ones."""

    def __init__(self, columns: Row, rows: Sequence[Row], *, width: int | None = None, colour: bool = False) -> None:
        self._columns = columns
        self._colour = colour
        self._limit = width
        self._gap = _GAPS[0]
        self._widths = [len(name) for name in columns]
        self._grow(rows)

    def head(self) -> str:
        """Give the line of the columns' names."""
        return self._line(self._columns, colour=False)

    def line(self, row: Row) -> str:
        """Give the line of one row."""
        self._grow([row])
        return self._line(row, colour=self._colour)

    def _grow(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._widths = [max(width, len(text)) for width, text in zip(self._widths, row, strict=True)]
        if self._limit is not None:
            between, wanted = len(self._columns) - 1, sum(self._widths)
            self._gap = next((gap for gap in _GAPS if wanted + gap * between <= self._limit), _GAPS[-1])
            self._widths = _fitted(self._widths, self._limit - self._gap * between)

    def _line(self, row: Row, *, colour: bool) -> str:
        cells = [
            _padded(text, width, cut=self._limit is not None) for text, width in zip(row, self._widths, strict=True)
        ]
        cells[-1] = cells[-1].rstrip()
        if colour:
            cells = [_coloured(name, text, cell) for name, text, cell in zip(self._columns, row, cells, strict=True)]
        return (" " * self._gap).join(cells).rstrip()


def print_table(columns: Row, rows: Sequence[Row], *, nothing: str) -> Table:
    """Write the table on standard output, or a note that there is `nothing`; give it for rows that come later."""
    table = Table(columns, rows, width=terminal.width(), colour=terminal.colours(sys.stdout))
    if rows:
        terminal.say("\n".join([table.head(), *(table.line(row) for row in rows)]))
    else:
        terminal.note(nothing)
    return table


def _fitted(widths: list[int], limit: int) -> list[int]:
    """Take from the widest column until all fit, or none has anything to give; the names come last, to be typed."""
    name, *others = widths
    while name + sum(others) > limit and max(others, default=0) > _NARROWEST:
        others[others.index(max(others))] -= 1
    return [max(_NARROWEST, min(name, limit - sum(others))), *others]


def _padded(text: str, width: int, *, cut: bool) -> str:
    if cut and len(text) > width:
        text = text[: width - 1] + "…"
    return text.ljust(width)


def _coloured(column: str, text: str, cell: str) -> str:
    colour = "red" if column == "PROBLEM" and text not in {"", "-"} else None
    if column == "STATE":
        colour = _COLOURS.get(text)
    return click.style(cell, fg=colour) if colour else cell
