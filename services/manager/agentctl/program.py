"""What this program was called as: `agentctl`, or `kubectl agents` where kubectl runs it as its plugin."""

from typing import Final

AGENTCTL: Final = "agentctl"
PLUGIN: Final = "kubectl agents"
_called_as = [AGENTCTL]
"""Set once, by the entry, before a command runs."""


def call_it(name: str) -> None:
    """Note the name that usage lines and advice are to have."""
    _called_as[0] = name


def is_plugin() -> bool:
    """Tell whether kubectl runs it: then the cluster of the current context is what is meant."""
    return _called_as[0] == PLUGIN


def as_typed(advice: str) -> str:
    """Give advice of our own with the command in it as this user types it; never for text from the network."""
    return advice.replace(AGENTCTL, _called_as[0])
