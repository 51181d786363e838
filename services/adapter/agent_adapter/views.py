"""What the adapter says of itself: `/status`, `/info`, `/drain`, `/tasks`, the beat, as they are at this moment."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import chain, islice

import msgspec
from agent_contract import __version__
from agent_contract.wire import (
    Blocker,
    Capabilities,
    DesiredState,
    Drain,
    FinishedTask,
    Heartbeat,
    Info,
    Registration,
    RunningTask,
    Status,
    TaskList,
    TaskView,
    Totals,
)
from msgspec import UNSET, UnsetType

from agent_adapter.admission import TaskTable
from agent_adapter.agents.agent import Agent
from agent_adapter.config import AdapterSettings
from agent_adapter.identity import Identity
from agent_adapter.lifecycle import Lifecycle
from agent_adapter.tasks import Task
from agent_adapter.wall_clock import WallClock


class Views:
    """Reads the state of the instance; changes nothing."""

    def __init__(
        self,
        settings: AdapterSettings,
        identity: Identity,
        lifecycle: Lifecycle,
        table: TaskTable,
        agent: Agent,
        *,
        wall: WallClock,
        totals: Callable[[], Totals],
        told: Callable[[], DesiredState | None],
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._lifecycle = lifecycle
        self._table = table
        self._agent = agent
        self._clock = wall.clock
        self._wall = wall
        self._totals = totals
        self._told = told

    def status(self) -> Status:
        """Give the answer of `GET /status`."""
        return Status(
            status=self._lifecycle.state,
            current_task=self._table.oldest_running,
            tasks=[self._running(task) for task in self._table.running.values()],
            queued=len(self._table.queue),
            max_concurrency=self._table.max_concurrency,
            instance_id=self._identity.instance_id,
            since=self._wall(self._lifecycle.since),
            drain=self.drain() if self._lifecycle.drain is not None else None,
            problem=self._agent.problem,
        )

    def info(self) -> Info:
        """Give the answer of `GET /info`."""
        agent = self._settings.agent
        return Info(
            id=agent.id,
            instance_id=self._identity.instance_id,
            name=_said(agent.name),
            description=_said(agent.description),
            version=_said(agent.version),
            default_model=_said(agent.default_model),
            metadata=None if isinstance(agent.metadata, UnsetType) else agent.metadata,
            parameters_schema=self._agent.parameters_schema,
            started_at=self._identity.started_at,
            adapter_version=__version__,
            capabilities=Capabilities(streaming=self._agent.streams, cancel=self._agent.cancels),
        )

    def drain(self) -> Drain:
        """Give the drain under way, or what would hold one."""
        now, drain = self._clock(), self._lifecycle.drain
        blockers = [self._blocker(task, now) for task in self._blocking(draining=drain is not None)]
        if drain is None:
            return Drain(reason=None, safe_to_delete=self._table.idle, blockers=blockers)
        running = list(self._table.running.values())
        ages = [now - (task.started_at or now) for task in running]
        eta = self._table.history.until_done(ages, len(blockers) - len(running), self._table.max_concurrency)
        return Drain(
            reason=drain.reason,
            safe_to_delete=not blockers and now >= drain.quiet_until,
            blockers=blockers,
            since=self._wall(drain.since),
            deadline=self._wall(drain.deadline),
            remaining_seconds=round(max(0.0, drain.deadline - now), 3),
            eta_seconds=_rounded(eta),
        )

    def task(self, task: Task, *, whole: bool) -> TaskView:
        """Give a task as `GET /tasks/{taskId}` shows it, or without its result as a listing does."""
        ended = task.ended_at is not None
        return TaskView(
            task_id=task.task_id,
            state=task.state,
            created_at=self._wall(task.created_at),
            started_at=None if task.started_at is None else self._wall(task.started_at),
            ended_at=None if task.ended_at is None else self._wall(task.ended_at),
            duration_seconds=round(task.duration_seconds, 6) if ended else None,
            deadline=None if task.deadline_at is None else self._wall(task.deadline_at),
            caller=task.caller,
            progress=task.progress,
            result=msgspec.Raw(task.result) if whole and task.result is not None else UNSET,
            problem=msgspec.Raw(task.problem.body()) if whole and task.problem is not None else UNSET,
            result_dropped=True if task.result_dropped else UNSET,
        )

    def tasks(self, *, state: str | None, limit: int, key: str | None) -> TaskList:
        """Give the running and waiting tasks, then those that ended, the last one first."""
        found = (task for task in chain(self._table.in_hand(), self._table.ended) if _is_wanted(task, state, key))
        return TaskList([self.task(task, whole=False) for task in islice(found, limit)])

    def unfetched(self) -> list[FinishedTask]:
        """Give what ended and was not fetched, or may still be asked for by its key, in the order of its end."""
        wanted = [task for task in self._table.ended if not task.fetched or task.key is not None]
        return [self._finished(task) for task in reversed(wanted) if not task.result_dropped]

    def retry_after(self, task: Task) -> str:
        """Give the whole seconds after which it is worth asking for this task again."""
        age = 0.0 if task.started_at is None else self._clock() - task.started_at
        return str(max(1, round(self._table.history.remaining(age) or 1)))

    def heartbeat(self) -> Heartbeat:
        """Give the present beat."""
        return Heartbeat(
            id=self._identity.agent_id,
            instance_id=self._identity.instance_id,
            status=self._lifecycle.state,
            current_task=self._table.oldest_running,
            running=len(self._table.running),
            queued=len(self._table.queue),
            drain=self.drain() if self._lifecycle.drain is not None else None,
            problem=self._agent.problem,
            totals=self._totals(),
        )

    def registration(self, service_url: str) -> Registration:
        """Give the registration at this URL; `desiredState` is what a manager last said, if one did."""
        info = msgspec.to_builtins(self.info())
        metadata = {key: value for key, value in info.items() if key not in ("id", "instanceId") and value is not None}
        return Registration(
            id=self._identity.agent_id,
            service_url=service_url,
            instance_id=self._identity.instance_id,
            metadata={**metadata, "maxConcurrency": self._table.max_concurrency},
            status=self._lifecycle.state,
            desired_state=self._told(),
        )

    def _finished(self, task: Task) -> FinishedTask:
        view = self.task(task, whole=True)
        return FinishedTask(
            task_id=task.task_id,
            state=view.state if view.state in ("succeeded", "cancelled") else "failed",
            ended_at=view.ended_at or datetime.now(UTC),
            key=None if task.key is None else task.key.text,
            result=view.result,
            problem=view.problem,
        )

    def _blocking(self, *, draining: bool) -> list[Task]:
        return [
            task for task in self._table.in_hand() if task.started_at is not None or not (draining and task.awaited)
        ]

    def _blocker(self, task: Task, now: float) -> Blocker:
        age = now - (task.started_at if task.started_at is not None else task.created_at)
        eta = self._table.history.remaining(age if task.started_at is not None else 0.0)
        return Blocker(
            task_id=task.task_id,
            age_seconds=round(age, 3),
            eta_seconds=_rounded(eta),
            progress=task.progress,
            caller=task.caller,
        )

    def _running(self, task: Task) -> RunningTask:
        started = task.started_at or 0.0
        return RunningTask(
            task_id=task.task_id,
            started_at=self._wall(started),
            age_seconds=round(self._clock() - started, 3),
            deadline=None if task.deadline_at is None else self._wall(task.deadline_at),
            caller=task.caller,
            progress=task.progress,
        )


def _is_wanted(task: Task, state: str | None, key: str | None) -> bool:
    return (state is None or task.state == state) and (key is None or (task.key is not None and task.key.text == key))


def _said(text: str | UnsetType) -> str | None:
    return None if isinstance(text, UnsetType) else text


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
