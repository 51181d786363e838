"""The table of commands. A command's module is imported when the command runs: `agentctl version` waits for none."""

import importlib
from collections.abc import Mapping
from typing import Final

import click
from click.shell_completion import CompletionItem

import agentctl
from agentctl import program
from agentctl.options import manager_options

_COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "up": ("agentctl.up.command:up", "run the manager and the configuration's agents here"),
    "init": ("agentctl.scaffold:init", "write a configuration and one agent that works"),
    "config": ("agentctl.configuration:config", "check a configuration and print it merged"),
    "get": ("agentctl.get:get", "list agents, instances, tasks, or what holds a drain"),
    "describe": ("agentctl.describe:describe", "tell all about an agent or a task"),
    "execute": ("agentctl.execute:execute", "have an agent do something and print the result"),
    "cancel": ("agentctl.steer:cancel", "cancel a task"),
    "logs": ("agentctl.logs:logs", "print an agent's log"),
    "pause": ("agentctl.act:pause", "let an agent finish its work and take no more"),
    "resume": ("agentctl.act:resume", "let a paused agent work again"),
    "stop": ("agentctl.act:stop", "drain an agent and let it leave"),
    "start": ("agentctl.act:start", "start an agent where the platform can"),
    "restart": ("agentctl.act:restart", "drain and replace an agent's instances in turn"),
    "rollout": ("agentctl.act:rollout", "replace an agent's pods by the platform's rollout, and follow it"),
    "drain": ("agentctl.steer:drain", "extend a drain, call it off, or cancel what holds it"),
    "wait": ("agentctl.wait:wait", "wait until an agent is in a state"),
    "prove": ("agentctl.prove.command:prove", "tell whether work was lost, also by a restart under load"),
    "keys": ("agentctl.keys:keys", "make an API key"),
    "completion": ("agentctl.completion:completion", "print the shell's completion script"),
    "version": ("agentctl.cli:version", "print the version"),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and short helps, and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names in the table's order."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Give the command, imported now; None for a name that is not in the table."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Give the commands that begin so without importing one, and the options."""
        begun = [
            CompletionItem(name, help=text) for name, (_, text) in _COMMANDS.items() if name.startswith(incomplete)
        ]
        return [*begun, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing one."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@manager_options
def cli(**_: str | None) -> None:
    """Run agents under management, call them, and see and steer what they do."""


@click.command()
def version() -> None:
    """Print agentctl's version."""
    click.echo(f"{program.AGENTCTL} {agentctl.__version__}")
