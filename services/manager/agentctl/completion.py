"""`agentctl completion`: the script that lets the shell complete commands, options and agent ids."""

import re
from typing import Final

import click
from agent_contract.identity import is_agent_id
from click.shell_completion import CompletionItem, get_completion_class

from agentctl import program
from agentctl.failures import CommandFailed
from agentctl.terminal import say

_VARIABLE: Final = "_AGENTCTL_COMPLETE"
_PLAIN: Final = re.compile(r"[\w-]{1,64}\Z", re.ASCII)
"""A task's id that needs no quoting."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell: source <(agentctl completion bash)."""
    from agentctl.cli import cli  # noqa: PLC0415  # cli's table names this module

    if program.is_plugin():
        raise CommandFailed("kubectl completes it: kubectl completion bash; kubectl_complete-agents must be in PATH")
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"cannot complete for {shell!r}")
    say(kind(cli, {}, program.AGENTCTL, _VARIABLE).source().rstrip("\n"))


def agent_ids(context: click.Context, beginning: str) -> list[CompletionItem]:
    """Give the ids of the manager's agents that begin so; none where it cannot be asked.

    The shell puts them into a command line: what is no agent's id is left out.
    """
    from agentctl.watch import FLEET  # noqa: PLC0415  # the script itself needs no client

    ids = _known(context, FLEET, "agents", "id")
    return [CompletionItem(one) for one in ids if one.startswith(beginning) and is_agent_id(one)]


def task_ids(context: click.Context, beginning: str) -> list[CompletionItem]:
    """Give the ids of the tasks that the manager knows and that begin so, as `agent_ids` does."""
    ids = _known(context, "/api/tasks", "tasks", "taskId")
    return [CompletionItem(one) for one in ids if one.startswith(beginning) and _PLAIN.match(one)]


def _known(context: click.Context, path: str, name: str, member: str) -> list[str]:
    from agentctl.connection import manager_of  # noqa: PLC0415  # the script itself needs no client
    from agentctl.views import members  # noqa: PLC0415  # the same

    try:
        with manager_of(context) as manager:
            return [str(one.get(member)) for one in members(manager.get(path), name)]
    except CommandFailed:
        return []
