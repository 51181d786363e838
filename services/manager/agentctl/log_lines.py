"""A line of a log as people read it: JSON log lines rendered, anything else as it is, without its colours.

Control characters are spelled out in a pipe too. kubectl and docker hand on raw what a container wrote, and so its
escape codes reach the terminal of whoever looks at a stranger's log; journalctl spells them out on a terminal alone.
Here a log is rendered for people wherever it goes, and what a pipe ends in is most often a terminal again (`| grep`,
`| less -R`). Who wants the bytes asks the manager: `GET /api/agent-services/ID/logs` gives each line as JSON. What an
agent gives as a result is data, not a log: `agentctl execute` writes that into a pipe or a file unaltered.
"""

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
        return without_escapes(line).replace("\n", "\\n")  # one line: what follows could pass for another's
    agent = fields.get("agent")
    if agent and agent != under:
        fields["message"] = f"{agent}: {fields['message']}"
    return render(fields, colour=colour)
