"""A task's outcome as an answer: its result as the bytes that the agent gave, or its problem."""

import msgspec
from agent_contract.asgi import Send, send_answer, send_problem
from agent_contract.problems import Problem

from agent_adapter.tasks import Task

JSON = (b"content-type", b"application/json")


async def send_outcome(task: Task, send: Send) -> None:
    """Answer for a task that has ended."""
    problem = task.problem or unavailable_result(task)
    if problem is not None:
        await send_problem(send, problem, [task_id_header(task)])
    else:
        await send_answer(send, 200, [JSON, task_id_header(task)], task.result_body())


async def send_accepted(task: Task, send: Send) -> None:
    """Answer that the task is in hand, and where it can be asked for (RFC 7240)."""
    headers = [
        JSON,
        task_id_header(task),
        (b"location", f"/tasks/{task.task_id}".encode()),
        (b"preference-applied", b"respond-async"),
    ]
    await send_answer(send, 202, headers, msgspec.json.encode({"taskId": task.task_id}))


def task_id_header(task: Task) -> tuple[bytes, bytes]:
    """Give the header that every answer to a well-formed request carries."""
    return (b"x-task-id", task.task_id.encode())


def unavailable_result(task: Task) -> Problem | None:
    """Give the problem of a task that succeeded, asked for again by its key when its result is no longer kept."""
    if not task.result_dropped:
        return None
    detail = f"task {task.task_id} succeeded, but its result was dropped to bound memory"
    return Problem("outcome-unknown", detail, outcome="unknown", taskId=task.task_id)
