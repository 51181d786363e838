"""What is told of an instance that left: to metrics and the journal, which outlive it."""

from typing import Final, Literal

from agent_contract.counting import counted
from agent_contract.wire import DrainReport
from msgspec import Struct

from agent_manager.records import Instance

Reason = Literal["unregistered", "replaced", "expired", "mass-loss", "withdrawn"]
"""It said so; a newer life has its place; silence; silence with many others; its source took it away."""
Outcome = Literal["clean", "cut", "lost"]

_MESSAGES: Final[dict[Reason, str]] = {
    "unregistered": "it unregistered",
    "replaced": "another process answers at its address",
    "expired": "it was not heard of for too long",
    "mass-loss": "it was lost with many others and did not come back",
    "withdrawn": "who brought it does not see it any more",
}


class Departure(Struct, frozen=True, kw_only=True):
    """An instance that left the registry."""

    instance: Instance
    """As it was last known; `totals` are its last words on its counters."""
    reason: Reason
    drain: DrainReport | None = None
    """Its own report, where it unregistered after a drain."""
    drain_lost: bool = False
    """It was stopping, and no unregistration came."""

    @property
    def outcome(self) -> Outcome | None:
        """How its drain went; None where none was under way."""
        if self.drain_lost:
            return "lost"
        if self.drain is None:
            return None
        return "cut" if self.drain.cut_tasks else "clean"


def leave_message(departure: Departure, *, pod_is_there: bool) -> str:
    """Say why an instance left."""
    instance, why = departure.instance, _MESSAGES[departure.reason]
    if departure.reason == "withdrawn" and instance.pod is not None:
        pod = instance.pod.name
        why = f"its process in pod {pod} has ended" if pod_is_there else f"its pod {pod} is gone"
    return f"{instance.instance_id} left: {why}"


def drain_message(departure: Departure) -> str:
    """Say how the drain went."""
    report = departure.drain
    if report is None:
        return "it was stopping, and its last word did not come"
    tasks = f"{counted(report.finished_tasks, 'task')} finished, {report.cut_tasks} were cut"
    return f"drained ({report.reason}) in {report.duration_seconds:.1f} s: {tasks}"
