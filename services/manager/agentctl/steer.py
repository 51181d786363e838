"""`agentctl drain` and `agentctl cancel`: doing something about what holds a drain."""

from typing import Any

import click

from agentctl.arguments import AGENT_ID, DURATION, TASK_ID
from agentctl.client import Manager
from agentctl.connection import talks_to_manager
from agentctl.failures import CommandFailed
from agentctl.rows import clock, duration
from agentctl.tasks import owner_of, task_path
from agentctl.terminal import one_line, say
from agentctl.views import Drain, error_text, members, read
from agentctl.watch import FLEET


@click.command()
@click.argument("agent_id", metavar="ID", type=AGENT_ID)
@click.option("--extend", "seconds", type=DURATION, metavar="D", help="Move the deadline to D from now.")
@click.option("--abort", is_flag=True, help="Call the drain off: the agent goes on as before.")
@click.option("--cancel", "task_id", type=TASK_ID, metavar="TASK", help="Cancel a task that holds it.")
@click.option("--instance", "instance_id", metavar="I", help="Only this instance.")
@talks_to_manager
def drain(
    manager: Manager, agent_id: str, seconds: float | None, task_id: str | None, instance_id: str | None, *, abort: bool
) -> None:
    """Steer the drain of agent ID; agentctl get drain ID shows it."""
    if sum((seconds is not None, abort, task_id is not None)) != 1:
        raise click.UsageError("say one of --extend D, --abort and --cancel TASK")
    path = f"{FLEET}/{agent_id}/drain"
    if task_id is not None:
        _cancel(manager, agent_id, task_id)
    elif abort:
        _tell(agent_id, manager.send("DELETE", path, params={"instanceId": instance_id}).json(), "drain called off")
    else:
        body = {"timeoutSeconds": seconds}
        _tell(agent_id, manager.send("PATCH", path, body=body, params={"instanceId": instance_id}).json(), None)


@click.command()
@click.argument("task_id", metavar="TASK", type=TASK_ID)
@click.option("--agent", "agent_id", type=AGENT_ID, metavar="ID", help="The agent that has it.")
@talks_to_manager
def cancel(manager: Manager, task_id: str, agent_id: str | None) -> None:
    """Cancel TASK; its caller is told."""
    _cancel(manager, owner_of(manager, task_id, agent_id), task_id)


def _cancel(manager: Manager, agent_id: str, task_id: str) -> None:
    manager.send("DELETE", task_path(agent_id, task_id))
    say(one_line(f"{agent_id}: task {task_id} cancelled"))


def _tell(agent_id: str, answer: Any, message: str | None) -> None:  # noqa: ANN401  # any JSON value
    errors = []
    for raw in members(answer, "instances"):
        name = str(raw.get("instanceId"))
        if raw.get("error") is not None:
            errors.append(f"{name}: {error_text(raw['error'])}")
            continue
        view = read(raw["drain"], Drain) if isinstance(raw.get("drain"), dict) else Drain()
        bounds = f"drain ends by {clock(view.deadline)}, {duration(view.remaining_seconds)} from now"
        say(one_line(f"{agent_id}/{name}: {message or bounds}"))
    if errors:
        raise CommandFailed(one_line(f"cannot steer the drain of {agent_id}: {'; '.join(errors)}"))
