"""Reading the configuration file: checked whole, with the path of what is wrong."""

import json
import re
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET

from agent_contract.config import Agent, AgentSettings, ConfigurationFile

DEFAULT_PATH: Final = Path("config/agents.config.json")
_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>.*)`)?$", re.DOTALL)
_FIELD: Final = re.compile(r"unknown field `(.+)`|missing required field `(.+)`")
_MERGED_MAPS: Final = ("environment", "metadata")
_WAYS_TO_RUN: Final = ("entryPoint", "command", "upstream")


class ConfigurationError(Exception):
    """The configuration cannot be used: the process does not start and exits 2.

    `path` is the place in the file, as `agents[1].port`; empty where the file as a whole is to blame.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


def load_file(path: Path) -> ConfigurationFile:
    """Give the file's content, checked.

    Raises:
        ConfigurationError: it cannot be read, is not JSON, breaks the schema, or two agents share an id or a port.

    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError("", f"cannot read configuration {str(path)!r}: {error.strerror}") from error
    return parse(text, source=str(path))


def parse(text: bytes, *, source: str = "configuration") -> ConfigurationFile:
    """Give the content of a configuration text, checked; raises ConfigurationError as `load_file` does."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise ConfigurationError("", f"cannot read {source}: not JSON: {error}") from error
    return check(raw)


def check(raw: Any) -> ConfigurationFile:  # noqa: ANN401  # any JSON value may stand in a file
    """Give the typed form of a decoded file; raises ConfigurationError."""
    try:
        file = msgspec.convert(raw, ConfigurationFile)
    except msgspec.ValidationError as error:
        raise _located(error) from error
    for index, agent in enumerate(file.agents):
        _check_agent(index, agent)
    _check_unique(file, "id")
    _check_unique(file, "port")
    return file


def to_builtins(section: Any) -> dict[str, Any]:  # noqa: ANN401  # any section of the file
    """Give a section as the file spells it, without what was left out."""
    plain: dict[str, Any] = msgspec.to_builtins(section)
    return plain


def merged(agent: Agent, defaults: AgentSettings) -> Agent:
    """Give the agent with what `defaults` adds: its own keys win, maps are merged."""
    base, own = to_builtins(defaults), to_builtins(agent)
    for key in _MERGED_MAPS:
        if key in base and key in own:
            own[key] = {**base[key], **own[key]}
    return msgspec.convert({**base, **own}, Agent)


def _located(error: msgspec.ValidationError) -> ConfigurationError:
    match = _AT.match(str(error))
    what, path = (match["what"], match["path"] or "") if match else (str(error), "")
    path = path.removeprefix("$").removeprefix(".")
    named = _FIELD.search(what)
    if named:
        path = ".".join(part for part in (path, named[1] or named[2]) if part)
        what = "unknown key" if named[1] else "is missing"
    return ConfigurationError(path, what[:1].lower() + what[1:])


def _check_agent(index: int, agent: Agent) -> None:
    ways = [key for key in _WAYS_TO_RUN if key in to_builtins(agent)]
    if len(ways) > 1:
        raise ConfigurationError(f"agents[{index}].{ways[1]}", f"an agent has only one of {', '.join(ways)}")


def _check_unique(file: ConfigurationFile, key: str) -> None:
    first: dict[Any, int] = {}
    for index, agent in enumerate(file.agents):
        value = getattr(agent, key)
        if value is UNSET:
            continue
        if value in first:
            raise ConfigurationError(f"agents[{index}].{key}", f"{value!r} is already that of agents[{first[value]}]")
        first[value] = index
