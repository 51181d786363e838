"""The command `agentctl up`."""

import asyncio
import os
import sys

import click

from agentctl.arguments import AGENT_ID
from agentctl.configuration import read_configuration
from agentctl.failures import CommandFailed
from agentctl.up.overview import Overview
from agentctl.up.plan import MANAGER, Plan, Wishes, make_plan
from agentctl.up.ports import taken
from agentctl.up.stream import Stream
from agentctl.up.supervisor import Supervisor


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=AGENT_ID)
@click.option("--config", "path", metavar="PATH", help="The configuration [AGENTS_CONFIG; config/agents.config.json].")
@click.option("--dummy", is_flag=True, help="Start stand-ins that give the parameters back.")
@click.option("--reload", "reloading", is_flag=True, help="Start an agent anew when a file of its code changes.")
@click.option("--manager-port", type=click.IntRange(1, 65535), metavar="N", help="Where the manager listens.")
@click.pass_context
def up(
    context: click.Context,
    ids: tuple[str, ...],
    path: str | None,
    manager_port: int | None,
    *,
    dummy: bool,
    reloading: bool,
) -> None:
    """Run the manager and the configuration's agents here, until Ctrl-C.

    All of them, or those named by ID; with IDs a manager that runs already is joined. Ctrl-C drains the agents, then
    the manager. A second one leaves at once, a third kills.
    """
    place, file = read_configuration(path)
    plan = make_plan(place, file, Wishes(ids, dummy=dummy, manager_port=manager_port), os.environ)
    context.exit(asyncio.run(_run(plan, named=bool(ids), reloading=reloading)))


async def _run(plan: Plan, *, named: bool, reloading: bool) -> int:
    overview = Overview(plan.manager_url)
    troubles = taken([plan.manager, *plan.agents])
    joining = named and MANAGER in troubles and await overview.is_manager()
    if joining:
        del troubles[MANAGER]
    if troubles:
        raise CommandFailed("; ".join(f"cannot start {name}: {trouble}" for name, trouble in troubles.items()))
    stream = Stream(sys.stdout, [MANAGER, *(program.name for program in plan.agents)])
    if joining:
        stream.say(f"joining the manager at {plan.manager_url}")
    return await Supervisor(plan, stream, overview, joining=joining, reloading=reloading).run()
