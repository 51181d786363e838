"""`agentctl init`: a configuration and one agent that works, as a beginning."""

import shlex
from pathlib import Path
from typing import Final

import click
from agent_contract.loading import DEFAULT_PATH
from agent_contract.schema import schema_text

from agentctl.failures import CommandFailed, Exit
from agentctl.terminal import one_line, say

_CONFIGURATION: Final = """\
{
  "$schema": "./agents.config.schema.json",
  "runtime": { "managerUrl": "http://127.0.0.1:8080", "logDirectory": "logs" },
  "defaults": { "environmentFile": ".env", "taskTimeoutSeconds": 600 },
  "agents": [
    {
      "id": "greeter",
      "name": "GreeterAgent",
      "description": "Greets whom it is told to",
      "version": "0.1.0",
      "port": 8100,
      "entryPoint": "agents.greeter:greet",
      "maxConcurrency": 4
    }
  ]
}
"""
_AGENT: Final = '''\
"""An agent is a function: parameters in, a result out. What its parameters are, the annotation says."""

import asyncio
from typing import Any, TypedDict


class Whom(TypedDict):
    """The parameters: a call without a name is answered with 422."""

    name: str


async def greet(parameters: Whom, context: Any) -> dict[str, str]:
    """Give a greeting, after a moment in which `agentctl get tasks` can see the task."""
    context.report_progress(0.5, "thinking of something nice")
    await asyncio.sleep(0.2)
    return {"greeting": f"Hello, {parameters['name']}!"}
'''
_PACKAGE: Final = '"""The agents of this project."""\n'


@click.command()
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
def init(directory: Path) -> None:
    """Write a configuration and one agent that works to DIR; nothing that is there is changed."""
    files = {
        directory / DEFAULT_PATH: _CONFIGURATION,
        directory / DEFAULT_PATH.with_name("agents.config.schema.json"): schema_text(),
        directory / "agents" / "__init__.py": _PACKAGE,
        directory / "agents" / "greeter.py": _AGENT,
    }
    present = [str(path) for path in files if path.exists()]
    if present:
        raise CommandFailed(f"cannot write {', '.join(present)}: already there; name another directory", Exit.CONFLICT)
    for path, text in files.items():
        _write(path, text)
        say(one_line(f"wrote {path}"))
    go = "" if directory == Path() else f"cd {shlex.quote(str(directory))} && "
    say(f"{one_line(f'now: {go}agentctl up')}\nthen: agentctl execute greeter -p name=Ada")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise CommandFailed(f"cannot write {path}: already there", Exit.CONFLICT) from error
    except OSError as error:
        raise CommandFailed(f"cannot write {path}: {error.strerror}") from error
