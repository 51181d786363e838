"""`agentctl get drain`: which tasks hold a drain, for how long yet, and when it ends at the latest."""

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

from agentctl.arguments import AGENT_ID
from agentctl.client import Manager
from agentctl.connection import talks_to_manager
from agentctl.output import Format, output_option, print_name, print_value
from agentctl.rows import DRAINS, Held, clock, duration, progress
from agentctl.tables import print_table
from agentctl.terminal import note, one_line, say
from agentctl.views import Blocker, Drain, error_text, members, read
from agentctl.watch import FLEET, again

_POLL_SECONDS: Final = 1.0


@click.command()
@click.argument("agent_id", metavar="ID", type=AGENT_ID)
@output_option
@click.option("-w", "--watch", is_flag=True, help="Go on: in place on a terminal, else a line for each change.")
@talks_to_manager
def drain(manager: Manager, agent_id: str, output: Format, *, watch: bool) -> None:
    """Show what holds the drain of agent ID, or would hold one."""
    if not watch:
        _print(_ask(manager, agent_id), agent_id, output)
    elif output in {"table", "wide"} and sys.stdout.isatty():
        from agentctl.live import show_drains  # noqa: PLC0415  # rich costs 80 ms, and only here is it needed

        show_drains(agent_id, lambda say: again(lambda: _poll(manager, agent_id), manager, say))
    else:
        _print_changes(manager, agent_id, output)


def held_rows(raws: list[dict[str, Any]], *, wide: bool = False) -> list[tuple[str, ...]]:
    """Give a row for each task that holds a drain, and one for each instance that nothing holds."""
    drains = [read(raw, Drain) for raw in raws]
    held = [Held(one, blocker) for one in drains if one.error is None for blocker in _blockers(one)]
    return [DRAINS.row(one, wide=wide) for one in held]


def _blockers(view: Drain) -> Sequence[Blocker | None]:
    return view.blockers or [None]


def _ask(manager: Manager, agent_id: str) -> list[dict[str, Any]]:
    """Give the drain of each instance with its instance id."""
    answers = members(manager.get(f"{FLEET}/{agent_id}/drain"), "instances")
    return [{**one, **inner} if isinstance(inner := one.get("drain"), dict) else one for one in answers]


def _poll(manager: Manager, agent_id: str) -> Iterator[list[dict[str, Any]]]:
    while True:
        yield _ask(manager, agent_id)
        time.sleep(_POLL_SECONDS)


def _print(raws: list[dict[str, Any]], agent_id: str, output: Format) -> None:
    if output in {"json", "yaml"}:
        print_value({"instances": raws}, output)
        return
    if output == "name":
        for raw in raws:
            print_name("instance", str(raw.get("instanceId")))
        return
    wide = output == "wide"
    print_table(DRAINS.head(wide=wide), held_rows(raws, wide=wide), nothing=f"no instance of {agent_id} is there")
    for one in (read(raw, Drain) for raw in raws):
        if one.error is not None:
            note(f"instance {one.instance_id} could not be asked: {error_text(one.error)}")


def _print_changes(manager: Manager, agent_id: str, output: Format) -> None:
    printed: dict[str, str] = {}
    for raws in again(lambda: _poll(manager, agent_id), manager, note):
        present = {str(raw.get("instanceId")): raw for raw in raws}
        for name, raw in present.items():
            view = read(raw, Drain)
            if printed.get(name) != (now := _lasting(view)):
                printed[name] = now
                _print_change(raw, f"{_now()} {agent_id}/{one_line(name)} {_story(view)}", output)
        for name in [name for name in printed if name not in present]:
            del printed[name]
            note(f"{_now()} {agent_id}/{name} has left")


def _print_change(raw: dict[str, Any], line: str, output: Format) -> None:
    if output in {"json", "yaml"}:
        print_value(raw, output, a_line=True)
    else:
        say(line)


def _lasting(view: Drain) -> str:
    """Give what of a drain does not change by the mere passing of time."""
    held = [(one.task_id, progress(one.progress), one.caller) for one in view.blockers]
    return repr((view.error, view.reason, view.deadline, view.safe_to_delete, held))


def _story(view: Drain) -> str:
    if view.error is not None:
        return f"could not be asked: {one_line(error_text(view.error))}"
    held = "; ".join(_blocker(one) for one in view.blockers) or "nothing holds it"
    if view.reason is None:
        return f"no drain: {held}"
    bounds = (
        f"{duration(view.remaining_seconds)} left, deadline {clock(view.deadline)}, eta {duration(view.eta_seconds)}"
    )
    return f"draining ({one_line(view.reason)}), {bounds}: {held}"


def _blocker(one: Blocker) -> str:
    parts = [
        f"task {one.task_id}",
        f"age {duration(one.age_seconds)}",
        progress(one.progress),
        f"eta {duration(one.eta_seconds)}",
    ]
    return one_line(" ".join(part for part in parts if part != "-"))


def _now() -> str:
    return clock(datetime.now(UTC))
