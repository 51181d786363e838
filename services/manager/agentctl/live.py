"""Live tables on a terminal, redrawn in place: the only module that imports rich.

Of a drain each instance has a line and its tasks a table below it, so that the tasks' ids, which
`agentctl drain --cancel` takes, stand there whole in 80 columns; what is too long is what a task says of its progress.
"""

from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from agentctl.rows import BLOCKERS, clock, duration
from agentctl.terminal import one_line
from agentctl.views import Blocker, Drain, error_text, read

Say = Callable[[str], None]


def show_drains(agent_id: str, source: Callable[[Say], Iterator[list[dict[str, Any]]]]) -> None:
    """Draw what `source` gives until it is interrupted; through its argument it says that the manager is away."""
    console = Console()
    with Live(console=console, auto_refresh=False, transient=False) as live:
        for raws in source(lambda text: console.print(Text(one_line(text), style="yellow"))):
            live.update(_picture(agent_id, [read(raw, Drain) for raw in raws]), refresh=True)


def show_rows(picture: Callable[[int], list[str]], changes: Callable[[Say], Iterator[Any]]) -> None:
    """Draw a table until it is interrupted: at each of the `changes`, and each second, for ages grow by themselves.

    `picture` gives its lines, at most so many; through its argument `changes` says that the manager is away.
    """
    console = Console(highlight=False)

    def draw() -> Group:
        lines = picture(console.height - 1)
        return Group(*(Text.from_ansi(line, no_wrap=True, overflow="crop") for line in lines))

    with Live(console=console, get_renderable=draw, refresh_per_second=1, vertical_overflow="visible") as live:
        for _ in changes(lambda text: console.print(Text(one_line(text), style="yellow"))):
            live.refresh()


def _picture(agent_id: str, drains: list[Drain]) -> Group:
    draining = sum(one.reason is not None for one in drains)
    held = sum(len(one.blockers) for one in drains)
    parts: list[RenderableType] = [
        Text(f"{agent_id}: {draining} of {len(drains)} draining, {held} in hand", style="bold")
    ]
    for one in drains:
        parts.append(Text(one_line(f"{one.instance_id} {_state(one)}"), no_wrap=True, overflow="ellipsis"))
        if one.blockers:
            parts.append(Padding(_table(one.blockers), (0, 0, 0, 2)))
    return Group(*parts)


def _state(drain: Drain) -> str:
    if drain.error is not None:
        return f"could not be asked: {error_text(drain.error)}"
    if drain.reason is None:
        return "no drain, safe to delete" if drain.safe_to_delete else "no drain"
    bounds = f"{duration(drain.remaining_seconds)} left (till {clock(drain.deadline)})"
    return f"{drain.reason}, {bounds}, eta {duration(drain.eta_seconds)}"


def _table(blockers: list[Blocker]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in BLOCKERS.columns:
        table.add_column(column, no_wrap=column != "PROGRESS")  # the one that may be narrowed
    for blocker in blockers:
        table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in BLOCKERS.row(blocker, wide=False)))
    return table
