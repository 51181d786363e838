"""The columns of `get`, and each object's row in them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from agent_contract.durations import format_duration

from agentctl.terminal import one_line
from agentctl.views import Agent, Blocker, Drain, Instance, ProblemState, Progress, Task, age_seconds, earliest

NOTHING: Final = "-"


class Kind(msgspec.Struct, frozen=True):
    """A kind of object: its table's columns, those that `-o wide` adds, and what makes the row."""

    columns: tuple[str, ...]
    wide: tuple[str, ...]
    cells: Callable[[Any], tuple[str, ...]]
    """Gives the cells of `columns` and `wide` together."""

    def head(self, *, wide: bool) -> tuple[str, ...]:
        """Give the columns' names."""
        return self.columns + self.wide if wide else self.columns

    def row(self, view: Any, *, wide: bool) -> tuple[str, ...]:  # noqa: ANN401  # the view of this kind
        """Give one object's cells, each on one line and harmless to a terminal."""
        cells = tuple(one_line(cell) for cell in self.cells(view))
        return cells if wide else cells[: len(self.columns)]


class InstanceOf(msgspec.Struct, frozen=True):
    """An instance and the id of its agent."""

    agent: str
    instance: Instance


class Held(msgspec.Struct, frozen=True):
    """A task that holds a drain, and the instance that drains; no task where nothing holds it."""

    drain: Drain
    blocker: Blocker | None


def duration(seconds: float | None) -> str:
    """Give seconds as `5m12s`; a dash where they are unknown."""
    return NOTHING if seconds is None else format_duration(seconds)


def progress(value: Progress | None) -> str:
    """Give progress as `40% counting words`; a dash where nothing was reported."""
    if value is None:
        return NOTHING
    parts = [] if value.fraction is None else [f"{value.fraction:.0%}"]
    return " ".join([*parts, *([value.message] if value.message else [])]) or NOTHING


def text(value: object) -> str:
    """Give a value as text; a dash for None and the empty text."""
    return NOTHING if value is None or value == "" else str(value)


def clock(time: datetime | None) -> str:
    """Give a time of day in UTC as `12:04:31Z`; a dash where it is unknown."""
    return NOTHING if time is None else f"{time.astimezone(UTC):%H:%M:%SZ}"


def _problem(value: ProblemState | None) -> str:
    return NOTHING if value is None else value.code


def _agent(agent: Agent) -> tuple[str, ...]:
    here = agent.instances
    desired = len(here) if agent.desired_instances is None else agent.desired_instances
    ready = agent.ready_instances or 0
    problem = agent.problem or next((one.problem for one in here if one.problem), None)
    return (
        agent.id,
        f"{ready}/{desired}",
        text(agent.state),
        str(sum(one.running or 0 for one in here)),
        str(sum(one.queued or 0 for one in here)),
        str(sum(one.restarts or 0 for one in here)),
        text(",".join(sorted({one.version for one in here if one.version}))),
        duration(age_seconds(earliest(one.started_at or one.registered_at for one in here))),
        _problem(problem),
        text(agent.desired_state),
        text(",".join(agent.sources)),
        text(agent.name),
        text(problem.detail if problem else None),
    )


def _instance(one: InstanceOf) -> tuple[str, ...]:
    instance = one.instance
    return (
        instance.instance_id,
        one.agent,
        text(instance.state),
        {True: "yes", False: "no", None: NOTHING}[instance.reachable],
        text(instance.running),
        text(instance.queued),
        text(instance.restarts),
        text(instance.version),
        duration(age_seconds(instance.started_at or instance.registered_at)),
        _problem(instance.problem),
        text(instance.pod and instance.pod.name),
        text(instance.service_url),
        text(instance.source),
        duration(age_seconds(instance.last_seen)),
        text(instance.adapter_version),
        text(instance.pod and instance.pod.node),
        text(instance.pod and instance.pod.reason),
    )


def _task(task: Task) -> tuple[str, ...]:
    running = age_seconds(task.started_at) if task.started_at and not task.ended_at else None
    return (
        task.task_id,
        text(task.agent),
        text(task.state),
        duration(age_seconds(task.created_at or task.started_at)),
        duration(task.duration_seconds if task.duration_seconds is not None else running),
        progress(task.progress),
        text(task.caller),
        text(task.instance_id),
        clock(task.deadline),
    )


def _held(held: Held) -> tuple[str, ...]:
    drain, blocker = held.drain, held.blocker or Blocker()
    return (
        text(drain.instance_id),
        text(drain.reason),
        clock(drain.deadline),
        duration(drain.remaining_seconds),
        text(blocker.task_id),
        duration(blocker.age_seconds),
        progress(blocker.progress),
        duration(blocker.eta_seconds),
        text(blocker.caller),
        {True: "yes", False: "no", None: NOTHING}[drain.safe_to_delete],
    )


def _blocker(blocker: Blocker) -> tuple[str, ...]:
    return (
        text(blocker.task_id),
        duration(blocker.age_seconds),
        duration(blocker.eta_seconds),
        progress(blocker.progress),
        text(blocker.caller),
    )


AGENTS: Final = Kind(
    ("NAME", "READY", "STATE", "TASKS", "QUEUED", "RESTARTS", "VERSION", "AGE", "PROBLEM"),
    ("DESIRED", "SOURCES", "TITLE", "DETAIL"),
    _agent,
)
INSTANCES: Final = Kind(
    ("NAME", "AGENT", "STATE", "REACHABLE", "TASKS", "QUEUED", "RESTARTS", "VERSION", "AGE", "PROBLEM", "POD"),
    ("URL", "SOURCE", "SEEN", "ADAPTER", "NODE", "REASON"),
    _instance,
)
TASKS: Final = Kind(
    ("NAME", "AGENT", "STATE", "AGE", "DURATION", "PROGRESS", "CALLER"), ("INSTANCE", "DEADLINE"), _task
)
DRAINS: Final = Kind(
    ("INSTANCE", "REASON", "DEADLINE", "REMAINING", "TASK", "AGE", "PROGRESS", "ETA", "CALLER"), ("SAFE",), _held
)
BLOCKERS: Final = Kind(("TASK", "AGE", "ETA", "PROGRESS", "CALLER"), (), _blocker)
