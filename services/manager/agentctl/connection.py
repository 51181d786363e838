"""Which manager a command talks to, and with which key.

The command line says it (`--manager URL`, or where in a cluster: `-n`, `--context`, `--kubeconfig`), else
AGENT_MANAGER_URL, else it is this machine's; for `kubectl agents` else the current context's namespace.
"""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec

import click

from agentctl import program
from agentctl.client import Manager
from agentctl.failures import CommandFailed, Exit
from agentctl.options import NAMES, manager_options
from agentctl.route import Direct, Route
from agentctl.terminal import note

P = ParamSpec("P")
DEFAULT_URL: Final = "http://127.0.0.1:8080"
_VARIABLE: Final = "AGENT_MANAGER_URL"


def talks_to_manager(command: Callable[Concatenate[Manager, P], None]) -> Callable[..., None]:
    """Give the command the options that name a manager and, as its first argument, the manager that they mean."""

    @manager_options
    @click.pass_context
    @functools.wraps(command)
    def run(context: click.Context, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # click's
        for name in NAMES:
            del kwargs[name]
        with manager_of(context) as manager:
            command(manager, *args, **kwargs)

    return run


def manager_of(context: click.Context) -> Manager:
    """Give the manager that the command line and the environment mean.

    Raises:
        CommandFailed: a manager in a cluster was meant and is not found there.

    """
    return Manager(_route(context), api_key())


def address() -> str:
    """Give the URL of AGENT_MANAGER_URL, else the default."""
    return os.environ.get(_VARIABLE) or DEFAULT_URL


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


def _route(context: click.Context) -> Route:
    url, namespace, cluster, kubeconfig = (_said(context, name) for name in NAMES)
    in_cluster = [value for value in (namespace, cluster, kubeconfig) if value is not None]
    if url is not None and in_cluster:
        raise click.UsageError("--manager says where the manager is: leave out -n, --context and --kubeconfig")
    if url is not None:
        return Direct(url)
    if in_cluster or (program.is_plugin() and not os.environ.get(_VARIABLE)):
        from agentctl.cluster.forward import Forwarded  # noqa: PLC0415  # without a cluster nobody needs it
        from agentctl.cluster.kubectl import Kubectl  # noqa: PLC0415  # the same

        return Forwarded(Kubectl(namespace=namespace, context=cluster, kubeconfig=kubeconfig))
    if program.is_plugin() and sys.stderr.isatty():
        note(f"{_VARIABLE} says {address()}; with -n or --context it is the manager of a cluster")
    return Direct(address())


def _said(context: click.Context, name: str) -> str | None:
    """Give what the command line says, behind the command's name or before it; the shell's completion asks too."""
    at: click.Context | None = context
    while at is not None:
        if at.params.get(name) is not None:
            return str(at.params[name])
        at = at.parent
    return None
