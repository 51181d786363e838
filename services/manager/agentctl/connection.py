"""Which manager a command talks to, and with which key."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec

import click

from agentctl.client import Manager
from agentctl.failures import CommandFailed, Exit

P = ParamSpec("P")
DEFAULT_URL: Final = "http://127.0.0.1:8080"


def talks_to_manager(command: Callable[Concatenate[Manager, P], None]) -> Callable[..., None]:
    """Give the command `--manager` and, as its first argument, the manager that it means."""

    @click.option("--manager", "manager_url", metavar="URL", help="The manager's address [AGENT_MANAGER_URL].")
    @click.pass_context
    @functools.wraps(command)
    def run(context: click.Context, manager_url: str | None, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # click's
        with Manager(address(manager_url or context.find_object(str)), api_key()) as manager:
            command(manager, *args, **kwargs)

    return run


def address(given: str | None) -> str:
    """Give the manager's URL: the one on the command line, else AGENT_MANAGER_URL, else the default."""
    return given or os.environ.get("AGENT_MANAGER_URL") or DEFAULT_URL


def api_key() -> str | None:
    """Give the key of AGENT_MANAGER_API_KEY, else that in the file AGENT_MANAGER_API_KEY_FILE, else None.

    Raises:
        CommandFailed: the file cannot be read, or the key cannot stand in a header.

    """
    key = os.environ.get("AGENT_MANAGER_API_KEY")
    path = os.environ.get("AGENT_MANAGER_API_KEY_FILE")
    if not key and path:
        try:
            key = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandFailed(f"cannot read AGENT_MANAGER_API_KEY_FILE {path!r}: {error}", Exit.USAGE) from error
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise CommandFailed("cannot use the API key: it has characters that no key has", Exit.USAGE)
    return key or None
