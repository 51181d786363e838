"""`agentctl get`: what there is, as a table or for programs, once or as it changes."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import click

from agentctl.arguments import AGENT_ID, TASK_ID
from agentctl.client import Manager
from agentctl.connection import talks_to_manager
from agentctl.failures import CommandFailed, Exit
from agentctl.get_drain import drain
from agentctl.output import Format, output_option
from agentctl.printer import Item, Printer
from agentctl.rows import AGENTS, INSTANCES, TASKS, InstanceOf
from agentctl.tasks import list_tasks, locate
from agentctl.terminal import note
from agentctl.views import Agent, Task, members, read
from agentctl.watch import FLEET, Fleet, again, fleet_of, follow

_POLL_SECONDS: Final = 1.0


class _Kinds(click.Group):
    """The kinds, also in the singular: `get agent planner`."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or super().get_command(ctx, f"{cmd_name}s")

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self.commands)


def _watch_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "-w", "--watch", is_flag=True, help="Go on: in place on a terminal, else a line for each change."
    )(command)


def _agent_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--agent", "agent_id", type=AGENT_ID, metavar="ID", help="Only those of this agent.")(command)


@click.group(cls=_Kinds)
def get() -> None:
    """List agents, instances, tasks, or what holds a drain."""


@get.command()
@click.argument("name", required=False, type=AGENT_ID)
@output_option
@_watch_option
@talks_to_manager
def agents(manager: Manager, name: str | None, output: Format, *, watch: bool) -> None:
    """List agents, or the one called NAME."""
    _get_of_fleet(manager, name, name, _agent_items, Printer("agent", AGENTS, output), watch=watch)


@get.command(short_help="List the processes of agents.")
@click.argument("name", required=False)
@_agent_option
@output_option
@_watch_option
@talks_to_manager
def instances(manager: Manager, name: str | None, agent_id: str | None, output: Format, *, watch: bool) -> None:
    """List the processes of agents, or the one whose instance id is NAME."""
    _get_of_fleet(manager, agent_id, name, _instance_items, Printer("instance", INSTANCES, output), watch=watch)


@get.command(short_help="List tasks that run, wait, or ended lately.")
@click.argument("name", required=False, type=TASK_ID)
@_agent_option
@output_option
@_watch_option
@talks_to_manager
def tasks(manager: Manager, name: str | None, agent_id: str | None, output: Format, *, watch: bool) -> None:
    """List tasks that run, wait, or ended lately, or the one whose task id is NAME."""
    printer = Printer("task", TASKS, output)

    def poll() -> Iterator[list[Item]]:
        while True:
            yield _task_items(manager, name, agent_id)
            time.sleep(_POLL_SECONDS)

    first = _task_items(manager, name, agent_id)
    if watch and printer.in_place:
        _watch_in_place(printer, lambda say: again(poll, manager, say), first)
        return
    printer.first(first, alone=name is not None)
    if watch:
        for items in again(poll, manager, note):
            printer.changed(items)


get.add_command(drain)


def _get_of_fleet(
    manager: Manager,
    agent_id: str | None,
    name: str | None,
    items_of: Callable[[dict[str, Any]], list[Item]],
    printer: Printer,
    *,
    watch: bool,
) -> None:
    fleet = _fleet(manager, agent_id)
    owners: dict[str, str] = {}

    def chosen(agent: dict[str, Any]) -> list[Item]:
        items = [item for item in items_of(agent) if name is None or item.name == name]
        owners.update((item.name, str(agent.get("id"))) for item in items)
        return items

    found = [item for agent in fleet.values() for item in chosen(agent)]
    if name is not None and not found:
        raise CommandFailed(f"no instance {name!r}: agentctl get instances lists them", Exit.NOT_FOUND)
    if watch and printer.in_place:
        pictures = _pictures_of_fleet(manager, agent_id, fleet, chosen)
        _watch_in_place(printer, pictures, found)
        return
    printer.first(found, alone=name is not None)
    if not watch:
        return
    for changed_id, agent in follow(manager, fleet, note):
        if agent_id not in {None, changed_id}:
            continue
        items = chosen(agent) if agent is not None else []
        printer.changed(items)
        printer.keep((item.name for item in items), lambda known, of=changed_id: owners.get(known) == of)  # type: ignore[misc]  # a default binds it


def _pictures_of_fleet(
    manager: Manager, agent_id: str | None, fleet: Fleet, chosen: Callable[[dict[str, Any]], list[Item]]
) -> Callable[[Callable[[str], None]], Iterator[list[Item]]]:
    """Give what gives all that is to be seen, each time that something of it changed."""

    def pictures(say: Callable[[str], None]) -> Iterator[list[Item]]:
        for _ in follow(manager, fleet, say):
            seen = [agent for known, agent in fleet.items() if agent_id in {None, known}]
            yield [item for agent in seen for item in chosen(agent)]

    return pictures


def _watch_in_place(
    printer: Printer, changes: Callable[[Callable[[str], None]], Iterator[list[Item]]], first: list[Item]
) -> None:
    """Redraw the table of what there is now."""
    from agentctl.live import show_rows  # noqa: PLC0415  # rich costs 80 ms, and only here is it needed

    now = [first]

    def changed(say: Callable[[str], None]) -> Iterator[None]:
        for items in changes(say):
            now[0] = items
            yield

    show_rows(lambda lines: printer.picture(now[0], lines), changed)


def _fleet(manager: Manager, agent_id: str | None) -> Fleet:
    if agent_id is None:
        return fleet_of(manager.get(FLEET))
    return {agent_id: read(manager.get(f"{FLEET}/{agent_id}"), dict)}


def _agent_items(agent: dict[str, Any]) -> list[Item]:
    return [Item(str(agent.get("id")), agent, read(agent, Agent))]


def _instance_items(agent: dict[str, Any]) -> list[Item]:
    view = read(agent, Agent)
    pairs = zip(view.instances, members(agent, "instances"), strict=True)
    return [Item(one.instance_id, {"agent": view.id, **raw}, InstanceOf(view.id, one)) for one, raw in pairs]


def _task_items(manager: Manager, name: str | None, agent_id: str | None) -> list[Item]:
    raws = list_tasks(manager, agent_id) if name is None else [locate(manager, name, agent_id)]
    return [Item(view.task_id, raw, view) for raw in raws for view in [read(raw, Task)]]
