"""What the manager measured of an agent's drain timeout, as a sentence."""

from agent_contract.durations import format_duration

from agentctl.client import Manager
from agentctl.failures import CommandFailed
from agentctl.own_metrics import own_metrics


def grace(manager: Manager, agent_id: str) -> str | None:
    """Give which share of the last week's tasks its drain timeout would have cut; None where nothing is measured.

    A manager that does not answer this, an older one for example, is no reason not to tell all the rest.
    """
    try:
        said = {one.name: one.value for one in own_metrics(manager) if one.labels == {"agent": agent_id}}
    except CommandFailed:
        return None
    tasks = int(said.get("grace_tasks", 0))
    return sentence(tasks, said["grace_cut_ratio"], said["grace_needed_seconds"]) if tasks else None


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
