"""A line of a log as people read it: JSON log lines rendered, anything else as it is, without its colours."""

from typing import Any

import msgspec
from agent_contract.readable import render

from agentctl.terminal import without_escapes


def fields_of(line: str) -> dict[str, Any] | None:
    """Give the members of a JSON log line; None for any other text."""
    try:
        fields = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.MsgspecError:
        return None
    return fields if "message" in fields else None


def readable(line: str, *, colour: bool, under: str) -> str:
    """Give the line for the eyes; a traceback makes it several lines.

    `under` is the agent's id that stands beside it already: a line about another one, as the manager's are, names it.
    """
    fields = fields_of(line)
    if fields is None:
        return without_escapes(line)
    agent = fields.get("agent")
    if agent and agent != under:
        fields["message"] = f"{agent}: {fields['message']}"
    return render(fields, colour=colour)
