"""The options that say where the manager is; they may stand before the command's name or behind it."""

from collections.abc import Callable
from typing import Any, Final

import click

NAMES: Final = ("manager_url", "namespace", "kube_context", "kubeconfig")
"""Their parameters' names, in the order in which a help text shows them."""
_TEXTS: Final = (
    ("--manager", "URL", "The manager's address [AGENT_MANAGER_URL; http://127.0.0.1:8080]."),
    ("-n|--namespace", "NS", "Talk to the manager in this namespace of a cluster, through kubectl."),
    ("--context", "CTX", "The same by kubectl's context."),
    ("--kubeconfig", "FILE", "The same by kubectl's configuration [KUBECONFIG]."),
)


def manager_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command, or the group of all, these options."""
    for name, (flags, metavar, text) in reversed(list(zip(NAMES, _TEXTS, strict=True))):
        command = click.option(*flags.split("|"), name, metavar=metavar, help=text)(command)
    return command
