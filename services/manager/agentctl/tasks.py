"""Finding tasks: a person has an id and seldom knows which agent the task belongs to."""

from typing import Any, Final
from urllib.parse import quote

from agentctl.client import Manager
from agentctl.failures import CommandFailed, Exit, ManagerAway
from agentctl.terminal import note
from agentctl.views import View, error_text, members, read
from agentctl.watch import FLEET, fleet_of

_TASKS: Final = "/api/tasks"
_DENIED: Final = frozenset({"unauthenticated", "forbidden"})


class _Silent(View, frozen=True):
    instance_id: str = ""
    error: Any = None


def list_tasks(manager: Manager, agent_id: str | None = None) -> list[dict[str, Any]]:
    """Give the tasks that the manager's agents know, without results; instances that could not be asked are noted.

    Raises:
        CommandFailed: the agent is unknown, or the manager did not answer.

    """
    if agent_id is not None:
        manager.get(f"{FLEET}/{agent_id}")  # a filter by an agent that does not exist would only find nothing
    answer = manager.get(_TASKS, agent=agent_id)
    for raw in answer.get("errors", []) if isinstance(answer, dict) else []:
        silent = read(raw, _Silent)
        note(f"tasks of instance {silent.instance_id} are missing: {error_text(silent.error)}")
    return members(answer, "tasks")


def task_path(agent_id: str, task_id: str) -> str:
    """Give the path of one task."""
    return f"{FLEET}/{quote(agent_id, safe='')}/tasks/{quote(task_id, safe='')}"


def owner_of(manager: Manager, task_id: str, agent_id: str | None = None) -> str:
    """Give the agent that has the task, or had it: from the list of all tasks, else by asking for it everywhere.

    Raises:
        CommandFailed: no agent knows it.

    """
    if agent_id is not None:
        return agent_id
    for raw in list_tasks(manager):
        if raw.get("taskId") == task_id and isinstance(raw.get("agent"), str):
            return str(raw["agent"])
    for candidate in fleet_of(manager.get(FLEET)):
        if _has(manager, candidate, task_id):
            return candidate
    raise CommandFailed(f"no agent knows task {task_id!r}: agentctl get tasks lists them", Exit.NOT_FOUND)


def locate(manager: Manager, task_id: str, agent_id: str | None = None) -> dict[str, Any]:
    """Give the task with its result or problem and the id of its agent; raises CommandFailed where nobody knows it."""
    owner = owner_of(manager, task_id, agent_id)
    return {"agent": owner, **read(manager.get(task_path(owner, task_id)), dict)}


def _has(manager: Manager, agent_id: str, task_id: str) -> bool:
    try:
        manager.get(task_path(agent_id, task_id))
    except ManagerAway:
        raise
    except CommandFailed as failure:
        if failure.code in _DENIED:
            raise
        return False
    return True
