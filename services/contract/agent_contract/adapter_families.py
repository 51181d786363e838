"""The metrics of an adapter, as both sides know them: the adapter exposes them, the manager carries them on."""

from typing import Final, Literal

from msgspec import Struct

Kind = Literal["counter", "gauge", "histogram"]


class FamilyFacts(Struct, frozen=True):
    """What kind of metric it is, and what it tells."""

    kind: Kind
    text: str


ADAPTER_FAMILIES: Final[dict[str, FamilyFacts]] = {
    "agent_task_running": FamilyFacts("gauge", "Tasks that run."),
    "agent_tasks_queued": FamilyFacts("gauge", "Tasks that wait."),
    "agent_max_concurrency": FamilyFacts("gauge", "Tasks that may run at once."),
    "agent_state": FamilyFacts("gauge", "1 for the state that the instance is in."),
    "agent_drain_deadline_timestamp_seconds": FamilyFacts("gauge", "When the drain cuts what is left; 0: no drain."),
    "agent_info": FamilyFacts("gauge", "What runs here."),
    "agent_tasks": FamilyFacts("counter", "Tasks that ended, by outcome."),
    "agent_refusals": FamilyFacts("counter", "Calls on which no work began, by code."),
    "agent_child_restarts": FamilyFacts("counter", "Times that the agent's process was started again."),
    "agent_task_duration_seconds": FamilyFacts("histogram", "How long tasks ran."),
    "agent_task_queue_duration_seconds": FamilyFacts("histogram", "How long tasks waited."),
}
"""By name, a counter's without its `_total`, in the order in which they are shown."""
