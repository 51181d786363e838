"""The live table of a drain on a terminal, redrawn in place: the only module that imports rich."""

from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agentctl.get_drain import held_rows
from agentctl.rows import DRAINS
from agentctl.views import Drain, read

Say = Callable[[str], None]


def show_drains(agent_id: str, source: Callable[[Say], Iterator[list[dict[str, Any]]]]) -> None:
    """Draw what `source` gives until it is interrupted; through its argument it says that the manager is away."""
    console = Console()
    with Live(console=console, auto_refresh=False, transient=False) as live:
        for raws in source(lambda text: console.print(Text(text, style="yellow"))):
            live.update(Group(_title(agent_id, raws), _table(raws)), refresh=True)


def _title(agent_id: str, raws: list[dict[str, Any]]) -> Text:
    drains = [read(raw, Drain) for raw in raws]
    draining = sum(one.reason is not None for one in drains)
    held = sum(len(one.blockers) for one in drains)
    return Text(f"{agent_id}: {draining} of {len(drains)} draining, {held} in hand", style="bold")


def _table(raws: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in DRAINS.head(wide=False):
        table.add_column(column, no_wrap=True, overflow="ellipsis")
    for row in held_rows(raws):
        table.add_row(*(Text(cell) for cell in row))
    return table
