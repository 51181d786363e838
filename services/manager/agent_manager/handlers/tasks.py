"""Tasks: of all agents, of one, one of them, the end of one."""

from typing import Final, get_args

from agent_contract.wire import TaskState
from litestar import Response
from litestar.params import FromPath

from agent_manager.answers import Answer
from agent_manager.handlers.queries import choice, text, whole_number
from agent_manager.handlers.requests import AnyRequest, manager_of
from agent_manager.tasks import TaskListing

MOST_TASKS: Final = 11_000
"""The running and waiting tasks of an instance, and the last 1,000 that ended."""
_LONGEST_KEY: Final = 255
_LONGEST_ID: Final = 63


async def list_all(request: AnyRequest) -> TaskListing:
    query = request.query_params
    agent_id, state = text(query, "agent", _LONGEST_ID), choice(query, "state", get_args(TaskState))
    limit = whole_number(query, "limit", 100, 1, MOST_TASKS)
    return await manager_of(request).tasks.list_of_all(agent_id, state, limit)


async def list_of_agent(request: AnyRequest, agent_id: FromPath[str]) -> TaskListing:
    query = request.query_params
    state, key = choice(query, "state", get_args(TaskState)), text(query, "key", _LONGEST_KEY)
    limit = whole_number(query, "limit", 100, 1, MOST_TASKS)
    return await manager_of(request).tasks.list_of_agent(agent_id, state, limit, key)


async def get_task(request: AnyRequest, agent_id: FromPath[str], task_id: FromPath[str]) -> Response[bytes]:
    return _response(await manager_of(request).tasks.find(agent_id, task_id))


async def cancel_task(request: AnyRequest, agent_id: FromPath[str], task_id: FromPath[str]) -> Response[bytes]:
    return _response(await manager_of(request).tasks.cancel(agent_id, task_id))


def _response(answer: Answer) -> Response[bytes]:
    headers = {name.decode(): value.decode("latin-1") for name, value in answer.headers}
    return Response(answer.body, status_code=answer.status, headers=headers)
