"""What an operator last ordered for an agent: given here or read off its workload, and how it ends without an operator.

What is on the workload is the durable truth, for every manager and over their restarts. It is taken over when it
changes, not each time that it is seen: the watch lags behind what was ordered here a moment ago.
"""

from agent_contract.wire import DesiredState

from agent_manager.platform import Workload
from agent_manager.records import AgentRecord, Instance


def order(record: AgentRecord, state: DesiredState) -> None:
    """Note what an operator ordered."""
    record.desired_state, record.ordered = state, True


def adopt(record: AgentRecord, told: DesiredState | None) -> bool:
    """Take over `paused` from what an adapter was told elsewhere, where nobody ordered anything here.

    Only that: no answer of a manager ever resumes, so there is nothing else to remember for a manager that is back.
    """
    if told != "paused" or record.ordered or record.desired_state == "paused":
        return False
    record.desired_state = "paused"
    return True


def adopt_from_workload(record: AgentRecord, before: Workload | None, workload: Workload) -> bool:
    """Take over what a workload says, where that is new; tells whether it is another than was known.

    `before` is the workload as it was last seen; one that is seen for the first time and says nothing is no order.
    """
    if before is None and workload.desired_state is None:
        return False
    said = said_by(workload)
    if before is not None and said == said_by(before):
        return False
    news = record.desired_state != said
    order(record, said)
    return news


def said_by(workload: Workload) -> DesiredState:
    """Give what a workload says was ordered; one that asks for pods is not stopped: somebody scaled it by hand."""
    if workload.desired_state is None or (workload.desired_state == "stopped" and workload.replicas > 0):
        return "running"
    return workload.desired_state


def end_stop(record: AgentRecord, instance: Instance) -> bool:
    """End `stopped` when an instance appears that nobody ordered; one on its way out is no such one.

    Neither is any while its workloads are stopped: it is an old pod's that has not gone yet, or its last words.
    """
    if record.desired_state != "stopped" or instance.state in ("stopping", "stopped") or _is_scaled_down(record):
        return False
    record.desired_state, record.ordered = "running", False
    return True


def _is_scaled_down(record: AgentRecord) -> bool:
    return record.desired_instances == 0 and any(said_by(one) == "stopped" for one in record.workloads.values())
