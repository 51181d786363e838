"""What an operator last ordered for an agent, and how it ends without an operator."""

from agent_contract.wire import DesiredState

from agent_manager.records import AgentRecord, Instance


def order(record: AgentRecord, state: DesiredState) -> None:
    """Note what an operator ordered here."""
    record.desired_state, record.ordered = state, True


def adopt(record: AgentRecord, told: DesiredState | None) -> bool:
    """Take over `paused` from what an adapter was told elsewhere, where nobody ordered anything here.

    Only that: no answer of a manager ever resumes, so there is nothing else to remember for a manager that is back.
    """
    if told != "paused" or record.ordered or record.desired_state == "paused":
        return False
    record.desired_state = "paused"
    return True


def end_stop(record: AgentRecord, instance: Instance) -> bool:
    """End `stopped` when an instance appears that nobody ordered; one on its way out is no such one."""
    if record.desired_state != "stopped" or instance.state in ("stopping", "stopped"):
        return False
    record.desired_state, record.ordered = "running", False
    return True
