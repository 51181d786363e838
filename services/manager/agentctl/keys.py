"""`agentctl keys`: an API key, and the line for the manager's file that lets it in."""

import hashlib
import re
import secrets
from typing import Final

import click

from agentctl.terminal import note, say

_NAME: Final = re.compile(r"[A-Za-z0-9][\w.@-]{0,63}\Z", re.ASCII)


@click.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["viewer", "operator", "admin"]),
    default="viewer",
    show_default=True,
    help="What it may do.",
)
def keys(name: str, role: str) -> None:
    """Make an API key called NAME.

    The line for MANAGER_API_KEYS_FILE goes to standard output and holds the key's hash; the key itself is shown once,
    on standard error: agentctl keys ada --role operator >> api-keys
    """
    if not _NAME.match(name):
        raise click.UsageError(f"cannot use {name!r} as a key's name: letters, digits and . _ @ -")
    key = f"ak_{secrets.token_urlsafe(32)}"
    say(f"{name} {role} sha256:{hashlib.sha256(key.encode()).hexdigest()}")
    note(f"the key, shown this once: {key}")
