"""Reading the configuration for `agentctl config` and `agentctl up`, and printing it without secrets."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from agent_contract.config import Agent, ConfigurationFile, Runtime
from agent_contract.environment import expand, read_environment_file
from agent_contract.loading import DEFAULT_PATH, ConfigurationError, load_file, merged, to_builtins
from agent_contract.shown import shown_url
from msgspec import UNSET

from agentctl.failures import CommandFailed, Exit
from agentctl.output import json_text
from agentctl.terminal import note, say

_REFERENCE: Final = re.compile(r"\$\{[A-Za-z_]\w*(?::-)?\}\Z", re.ASCII)
"""`${NAME}`, also with an empty default: text that is no secret whatever the variable holds."""
_MASK: Final = "***"


@click.command()
@click.option("--config", "path", metavar="PATH", help=f"The file [AGENTS_CONFIG; {DEFAULT_PATH}].")
def config(path: str | None) -> None:
    """Check a configuration and print it with its defaults, secrets masked."""
    place, file = read_configuration(path)
    agents = [merged(agent, file.defaults) for agent in file.agents]
    for trouble in _troubles(agents, file, place):
        note(f"warning: {trouble}")
    say(json_text({"runtime": _runtime(file.runtime), "agents": [_masked(agent) for agent in agents]}))


def read_configuration(path: str | None) -> tuple[Path, ConfigurationFile]:
    """Give the file's path and its checked content: the path given, else AGENTS_CONFIG, else the default one.

    Raises:
        CommandFailed: it is missing or wrong, with exit code 2 and the place in the file.

    """
    place = Path(path or os.environ.get("AGENTS_CONFIG") or DEFAULT_PATH)
    if not place.exists():
        message = f"cannot read configuration {str(place)!r}: no such file; agentctl init writes one"
        raise CommandFailed(message, Exit.USAGE)
    try:
        return place, load_file(place)
    except ConfigurationError as error:
        raise CommandFailed(f"{place}: {error}" if error.path else str(error), Exit.USAGE) from error


def _masked(agent: Agent) -> dict[str, Any]:
    plain = {"id": agent.id, **to_builtins(agent)}
    if "environment" in plain:
        shown = {name: value if _is_public(value) else _MASK for name, value in plain["environment"].items()}
        plain["environment"] = shown
    if "upstream" in plain:
        plain["upstream"] = shown_url(plain["upstream"])
    return plain


def _is_public(value: str) -> bool:
    return not value or _REFERENCE.match(value) is not None


def _runtime(runtime: Runtime) -> dict[str, Any]:
    """Give every setting, also those that the file leaves to their defaults."""
    named = zip(runtime.__struct_encode_fields__, runtime.__struct_fields__, strict=True)
    values = {name: getattr(runtime, field) for name, field in named}
    plain: dict[str, Any] = msgspec.to_builtins({name: value for name, value in values.items() if value is not UNSET})
    if "managerUrl" in plain:
        plain["managerUrl"] = shown_url(plain["managerUrl"])
    plain["discovery"] = {"mode": runtime.discovery.mode, **plain["discovery"]}
    return plain


def _troubles(agents: list[Agent], file: ConfigurationFile, place: Path) -> list[str]:
    """Give what would keep an agent from starting in this environment, though the file itself is right."""
    troubles = []
    for index, (agent, own) in enumerate(zip(agents, file.agents, strict=True)):
        try:
            known = _known_variables(agent, place, index, required=own.environment_file is not UNSET)
            for name, value in (agent.environment or {}).items():
                expand(value, known, f"agents[{index}].environment.{name}")
        except ConfigurationError as error:
            troubles.append(f"{place}: {error}")
    return troubles


def _known_variables(agent: Agent, place: Path, index: int, *, required: bool) -> Mapping[str, str]:
    if agent.environment_file is UNSET:
        return os.environ
    found = place.parent / agent.environment_file
    field = f"agents[{index}].environmentFile"
    return {**read_environment_file(found, required=required, field=field), **os.environ}
