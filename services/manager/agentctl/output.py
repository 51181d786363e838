"""`-o`: objects as JSON, YAML or names, for programs; nothing in them can steer a terminal."""

import json
from collections.abc import Callable
from typing import Any, Final, Literal

import click
from agent_contract.readable import STEERING, harmless_json

from agentctl.terminal import one_line, say

Format = Literal["table", "wide", "json", "yaml", "name"]
FORMATS: Final = ("table", "wide", "json", "yaml", "name")


def output_option(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command `-o`."""
    option = click.option(
        "-o", "--output", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print it."
    )
    return option(command)


def json_text(value: Any, *, indent: int | None = 2) -> str:  # noqa: ANN401  # any JSON value
    """Give a value as JSON in which what could steer a terminal is escaped, so that it stays the same value."""
    return harmless_json(json.dumps(value, indent=indent, ensure_ascii=False))


def yaml_text(value: Any) -> str:  # noqa: ANN401  # any JSON value
    """Give a value as YAML, escaped where it holds control or direction characters."""
    import yaml  # noqa: PLC0415  # only -o yaml pays its 40 ms

    unsafe = STEERING.search(json.dumps(value, ensure_ascii=False)) is not None
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=not unsafe)
    return text.rstrip("\n")


def print_value(value: Any, output: Format, *, a_line: bool = False) -> None:  # noqa: ANN401  # any JSON value
    """Write an object as JSON or YAML; `a_line` writes it as one JSON line, or one YAML document of several."""
    if output == "json":
        say(json_text(value, indent=None if a_line else 2))
    else:
        say(("---\n" if a_line else "") + yaml_text(value))


def print_name(kind: str, name: str) -> None:
    """Write `agent/planner`, as kubectl does."""
    say(f"{kind}/{one_line(name)}")
