"""What the manager measured of an agent's drain timeout, as a sentence."""

import re
from typing import Final

from agent_contract.durations import format_duration

from agentctl.client import Manager
from agentctl.failures import CommandFailed

_LINE: Final = r'^agent_manager_grace_{}\{{agent="{}"\}} (\S+)$'


def grace(manager: Manager, agent_id: str) -> str | None:
    """Give which share of the last week's tasks its drain timeout would have cut; None where nothing is measured.

    A manager that does not answer this, an older one for example, is no reason not to tell all the rest.
    """
    try:
        page = manager.send("GET", "/metrics", params={"scope": "self"}, headers={"Accept": "text/plain"})
    except CommandFailed:
        return None
    text = page.content.decode()
    tasks, ratio, needed = (_value(text, name, agent_id) for name in ("tasks", "cut_ratio", "needed_seconds"))
    return sentence(int(tasks), ratio, needed) if tasks else None


def sentence(tasks: int, cut_ratio: float, needed_seconds: float) -> str:
    """Say it."""
    of = f"of {tasks:,} task{'' if tasks == 1 else 's'} of the last 7 days"
    if not cut_ratio:
        return f"the drain timeout would have cut none {of}"
    share = f"{max(cut_ratio * 100, 0.1):.1f}".removesuffix(".0")
    better = "some took over an hour"
    if needed_seconds != float("inf"):
        better = f"{format_duration(needed_seconds)} would cut none"
    return f"the drain timeout would have cut {share} % {of}; {better}"


def _value(page: str, name: str, agent_id: str) -> float:
    found = re.search(_LINE.format(name, re.escape(agent_id)), page, re.MULTILINE)
    return float(found[1]) if found else 0.0
