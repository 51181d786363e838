"""Printing objects of one kind: all at first, later those that changed."""

import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from agentctl import terminal
from agentctl.fitting import columns_with_room
from agentctl.output import Format, print_name, print_value
from agentctl.rows import AGENTS, Kind
from agentctl.tables import Table, print_table
from agentctl.terminal import note, say

_VOLATILE: Final = frozenset({"AGE", "SEEN", "DURATION"})
"""Columns that change by themselves: a row is printed again for the others only."""


class Item(msgspec.Struct, frozen=True):
    """One object to print: its name, what the manager wrote, and the view that its row is made from."""

    name: str
    raw: dict[str, Any]
    view: Any


class Printer:
    """Prints objects of one kind, and later those that are no longer as they were printed."""

    def __init__(self, name: str, kind: Kind, output: Format) -> None:
        self._name = name
        self._kind = kind
        self._output = output
        self._wide = output == "wide"
        self._columns = kind.head(wide=self._wide)
        self._table = Table(self._columns, [])
        self._printed: dict[str, Any] = {}

    def first(self, items: list[Item], *, alone: bool) -> None:
        """Print what there is; `alone` prints one object as itself instead of a list of one."""
        self._printed = {item.name: self._fingerprint(item) for item in items}
        if self._output in {"json", "yaml"}:
            raws = [item.raw for item in items]
            print_value(raws[0] if alone and raws else {f"{self._name}s": raws}, self._output)
        elif self._output == "name":
            for item in items:
                print_name(self._name, item.name)
        else:
            columns, rows = self._fitted(items, terminal.width())
            self._table = print_table(columns, rows, nothing=f"no {self._name}s")
            if left_out := [name for name in self._columns if name not in columns]:
                note(f"no room for {', '.join(left_out)}: {terminal.width()} columns; -o yaml has everything")

    def changed(self, items: Iterable[Item]) -> None:
        """Print those that look otherwise than when they were last printed."""
        for item in items:
            fingerprint = self._fingerprint(item)
            if self._printed.get(item.name) == fingerprint:
                continue
            if not self._printed and self._output in {"table", "wide"}:
                say(self._table.head())
            self._printed[item.name] = fingerprint
            self._print_again(item)

    def gone(self, name: str) -> None:
        """Tell that an object is no longer listed."""
        if self._printed.pop(name, None) is not None:
            note(f"{self._name} {name} is no longer listed")

    def keep(self, names: Iterable[str], among: Callable[[str], bool]) -> None:
        """Tell which of those printed, as far as `among` holds, are not among `names` any more."""
        present = set(names)
        for name in [name for name in self._printed if among(name) and name not in present]:
            self.gone(name)

    @property
    def in_place(self) -> bool:
        """Whether a watch redraws the table: a person looks at it, on a terminal."""
        return self._output in {"table", "wide"} and sys.stdout.isatty()

    def picture(self, items: list[Item], lines: int) -> list[str]:
        """Give the table for a terminal, of at most so many lines; a last line says how many rows it leaves out."""
        columns, rows = self._fitted(items, terminal.width())
        table = Table(columns, rows, width=terminal.width(), colour=terminal.colours(sys.stdout))
        shown = rows if len(rows) < lines else rows[: max(0, lines - 2)]
        more = [] if len(shown) == len(rows) else [f"and {len(rows) - len(shown)} more"]
        return [table.head(), *(table.line(row) for row in shown), *(more or ([] if rows else [f"no {self._name}s"]))]

    def _fitted(self, items: Iterable[Item], width: int | None) -> tuple[list[str], list[list[str]]]:
        """Give columns and rows as far as they fit; what is always shown of an agent is cut, never left out."""
        rows = [self._kind.row(item.view, wide=self._wide) for item in items]
        kept = AGENTS.columns if self._kind is AGENTS else ()
        places = columns_with_room(self._columns, rows, width, kept)
        return [self._columns[at] for at in places], [[row[at] for at in places] for row in rows]

    def _print_again(self, item: Item) -> None:
        if self._output in {"json", "yaml"}:
            print_value(item.raw, self._output, a_line=True)
        elif self._output == "name":
            print_name(self._name, item.name)
        else:
            say(self._table.line(self._kind.row(item.view, wide=self._wide)))

    def _fingerprint(self, item: Item) -> Any:  # noqa: ANN401  # compared only
        if self._output in {"json", "yaml"}:
            return item.raw
        row = self._kind.row(item.view, wide=self._wide)
        return [cell for name, cell in zip(self._columns, row, strict=True) if name not in _VOLATILE]
