"""Tasks of agents, wherever they are: at an instance, or handed over by one that has left."""

from typing import Any, Final
from urllib.parse import quote

import msgspec
from agent_contract.identity import is_uuid
from agent_contract.problems import Problem
from msgspec import UNSET, Struct, UnsetType

from agent_manager.answers import Answer, relayed, unavailable
from agent_manager.fleet_queries import FleetQueries
from agent_manager.handed_over import Kept, ResultStore
from agent_manager.kept_answers import task_view
from agent_manager.live import Live, Said
from agent_manager.records import Instance
from agent_manager.registry import Registry
from agent_manager.task_places import TaskPlaces

_JSON: Final = [(b"content-type", b"application/json")]
_NOT_FOUND: Final = 404
_Task = dict[str, Any]


class TaskListing(Struct, frozen=True, omit_defaults=True):
    """Tasks without results, those under way first, then the last one that ended first."""

    tasks: list[_Task]
    errors: list[dict[str, Any]] | UnsetType = UNSET
    """Instances that could not be asked: what they have is missing here."""


class _Listed(Struct):
    tasks: list[_Task]


class Tasks:
    """Finds tasks."""

    def __init__(
        self, registry: Registry, queries: FleetQueries, live: Live, results: ResultStore, places: TaskPlaces
    ) -> None:
        self._registry = registry
        self._queries = queries
        self._live = live
        self._results = results
        self._places = places

    async def list_of_agent(self, agent_id: str, state: str | None, limit: int, key: str | None = None) -> TaskListing:
        """Give the tasks of one agent; raises Problem 404 `unknown-agent`."""
        return await self._list(self._queries.instances(agent_id), agent_id, state, limit, key)

    async def list_of_all(self, agent_id: str | None, state: str | None, limit: int) -> TaskListing:
        """Give the tasks of all agents, or of one; an unknown one has none."""
        known = (one for one in self._registry.instances.values() if agent_id in (None, one.agent_id))
        return await self._list(list(known), agent_id, state, limit, None)

    async def find(self, agent_id: str, task_id: str) -> Answer:
        """Give a task with its result; raises Problem 404 `unknown-agent`, `unknown-task`, 503 `unavailable`."""
        kept = self._results.find(agent_id, task_id)
        if kept is not None:
            headers = [*_JSON, (b"x-agent-instance", kept.instance_id.encode())]
            return Answer(200, headers, msgspec.json.encode(task_view(kept, whole=True)))
        return await self._forwarded(agent_id, task_id, "GET")

    async def cancel(self, agent_id: str, task_id: str) -> Answer:
        """Cancel a task; raises as `find` does, and 409 `already-ended`."""
        kept = self._results.find(agent_id, task_id)
        if kept is not None:
            raise Problem("already-ended", f"task {task_id} has ended already: {kept.task.state}")
        return await self._forwarded(agent_id, task_id, "DELETE")

    async def _forwarded(self, agent_id: str, task_id: str, method: str) -> Answer:
        instances = self._queries.instances(agent_id)
        if is_uuid(task_id):  # else it would be another path at the instance
            place = self._places.find(task_id)
            first = [one for one in instances if one.instance_id == place]
            for asked in (first, [one for one in instances if one not in first]):
                answer = await self._ask(asked, agent_id, task_id, method)
                if answer is not None:
                    return answer
        raise Problem("unknown-task", f"no task {task_id[:64]!r} of {agent_id} within the last hour")

    async def _ask(self, instances: list[Instance], agent_id: str, task_id: str, method: str) -> Answer | None:
        """Give the answer of the instance that has the task; None when none of these has it."""
        answers = await self._live.ask_all(instances, method, f"/tasks/{task_id}")
        for said in answers:
            if said.response is not None and said.response.status != _NOT_FOUND:
                return relayed(said.response, agent_id, said.instance.instance_id, task_id)
        kept = self._results.find(agent_id, task_id)  # handed over while the instance was asked
        if kept is not None:
            return await (self.find if method == "GET" else self.cancel)(agent_id, task_id)
        silent = [said.instance.instance_id for said in answers if said.response is None and not said.refused]
        if silent:
            raise unavailable(f"instance {silent[0]} does not answer, and no other has task {task_id}")
        return None

    async def _list(
        self, instances: list[Instance], agent_id: str | None, state: str | None, limit: int, key: str | None
    ) -> TaskListing:
        given = {"limit": str(limit), "state": state, "key": key}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in given.items() if value is not None)
        answers = await self._live.ask_all(instances, "GET", f"/tasks?{query}")
        tasks = [task for said in answers for task in _tasks_of(said)]
        seen = {task.get("taskId") for task in tasks}
        tasks += [
            _listed(kept)
            for kept in self._results.list_kept(agent_id)
            if kept.task.task_id not in seen and state in (None, kept.task.state) and key in (None, kept.task.key)
        ]
        tasks.sort(key=lambda task: str(task.get("endedAt") or task.get("createdAt") or ""), reverse=True)
        tasks.sort(key=lambda task: bool(task.get("endedAt")))
        errors = [{"instanceId": said.instance.instance_id, "error": said.error} for said in answers if said.error]
        return TaskListing(tasks[:limit], errors or UNSET)


def _tasks_of(said: Said) -> list[_Task]:
    listed = said.read(_Listed)
    tasks = listed.tasks if isinstance(listed, _Listed) else []
    own = {"agent": said.instance.agent_id, "instanceId": said.instance.instance_id}
    return [{**task, **own} for task in tasks]


def _listed(kept: Kept) -> _Task:
    view: _Task = msgspec.to_builtins(task_view(kept, whole=False))
    return {**view, "agent": kept.agent_id, "instanceId": kept.instance_id}
