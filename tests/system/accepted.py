"""Tasks that were answered with 202: handed over, asked for."""

from collections.abc import Iterable
from typing import Any

from tests.system.fleet import Fleet

ASYNC = {"Prefer": "respond-async"}


async def accept(fleet: Fleet, agent: str, /, **parameters: object) -> str:
    """Hand a task over and give where it can be asked for."""
    answer = await fleet.execute(agent, ASYNC, **parameters)
    assert answer.status_code == 202, answer.text
    assert answer.headers["preference-applied"] == "respond-async"
    place = answer.headers["location"]
    assert place == f"/api/agent-services/{agent}/tasks/{answer.json()['taskId']}"
    assert answer.headers["x-task-id"] == answer.json()["taskId"]
    return str(place)


async def reached(fleet: Fleet, place: str, *states: str) -> dict[str, Any]:
    """Ask until the task has one of these states, and give it."""
    task: dict[str, Any] = {}

    async def there() -> bool:
        answer = await fleet.client.get(place)
        assert answer.status_code == 200, answer.text
        task.clear()
        task.update(answer.json(), retryAfter=answer.headers.get("retry-after"))
        return task["state"] in states

    await fleet.until(there, f"the task is {' or '.join(states)}")
    return task


def ids(tasks: Iterable[dict[str, Any]]) -> set[str]:
    """Give the tasks' ids."""
    return {task["taskId"] for task in tasks}
