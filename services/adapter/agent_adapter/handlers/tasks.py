"""Tasks: all of them, one of them, the end of one."""

from agent_contract.problems import Problem
from agent_contract.wire import TaskList, TaskView
from litestar import Response, delete, get
from litestar.datastructures import State
from litestar.params import FromPath

from agent_adapter.adapter import Adapter
from agent_adapter.handlers.queries import AnyRequest, choice, whole_number

_STATES = ("queued", "running", "succeeded", "failed", "cancelled")
_MOST = 11_000


@get("/tasks")
async def list_tasks(request: AnyRequest, state: State) -> TaskList:
    adapter: Adapter = state.adapter
    wanted, limit = choice(request, "state", _STATES), whole_number(request, "limit", 100, 1, _MOST)
    return adapter.views.tasks(state=wanted, limit=limit, key=request.query_params.get("key"))


@get("/tasks/{task_id:str}")
async def get_task(task_id: FromPath[str], state: State) -> Response[TaskView]:
    adapter: Adapter = state.adapter
    task = adapter.execution.table.find(task_id)
    if task is None:
        raise Problem("unknown-task", f"no task {task_id[:64]!r} here within the last hour")
    task.fetched = task.outcome is not None
    headers = {} if task.fetched else {"Retry-After": adapter.views.retry_after(task)}
    return Response(adapter.views.task(task, whole=True), headers=headers)


@delete("/tasks/{task_id:str}", status_code=202)
async def cancel_task(task_id: FromPath[str], state: State) -> TaskView:
    adapter: Adapter = state.adapter
    return adapter.views.task(adapter.execution.cancel(task_id), whole=False)
