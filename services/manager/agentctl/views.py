"""What the manager says of agents, instances, tasks and drains, as far as tables and descriptions need it.

Everything is optional: an older or newer manager's answer is still a table.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from agentctl.failures import CommandFailed

T = TypeVar("T")


class View(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """An object of an answer; members that it does not name are ignored."""


class Progress(View, frozen=True):
    """How far a task is."""

    fraction: float | None = None
    message: str | None = None


class ProblemState(View, frozen=True):
    """What keeps something from serving."""

    code: str = "unknown"
    detail: str = ""
    since: datetime | None = None


class Blocker(View, frozen=True):
    """A task that holds a drain."""

    task_id: str = ""
    age_seconds: float | None = None
    eta_seconds: float | None = None
    progress: Progress | None = None
    caller: str | None = None


class Drain(View, frozen=True):
    """A drain under way; with no reason, what would hold one. `error` says why an instance could not be asked."""

    instance_id: str | None = None
    error: Any = None
    reason: str | None = None
    since: datetime | None = None
    deadline: datetime | None = None
    remaining_seconds: float | None = None
    eta_seconds: float | None = None
    safe_to_delete: bool | None = None
    blockers: list[Blocker] = []


class Pod(View, frozen=True):
    """The pod of an instance, or the one that is an instance as long as no process is known in it."""

    name: str | None = None
    namespace: str | None = None
    node: str | None = None
    ip: str | None = None
    image: str | None = None
    phase: str | None = None
    ready: bool | None = None
    restarts: int | None = None
    reason: str | None = None


class Instance(View, frozen=True):
    """One process of an agent."""

    instance_id: str = ""
    service_url: str | None = None
    state: str | None = None
    reachable: bool | None = None
    source: str | None = None
    registered_at: datetime | None = None
    last_seen: datetime | None = None
    started_at: datetime | None = None
    version: str | None = None
    adapter_version: str | None = None
    restarts: int | None = None
    max_concurrency: int | None = None
    running: int | None = None
    queued: int | None = None
    drain: Drain | None = None
    problem: ProblemState | None = None
    pod: Pod | None = None


class Agent(View, frozen=True):
    """An agent with its instances."""

    id: str = ""
    name: str | None = None
    description: str | None = None
    state: str | None = None
    desired_state: str | None = None
    parameters_schema: dict[str, Any] | None = None
    sources: list[str] = []
    ready_instances: int | None = None
    desired_instances: int | None = None
    problem: ProblemState | None = None
    instances: list[Instance] = []


class Task(View, frozen=True):
    """A task; a listing leaves out its result."""

    task_id: str = ""
    agent: str | None = None
    instance_id: str | None = None
    state: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_seconds: float | None = None
    deadline: datetime | None = None
    caller: str | None = None
    progress: Progress | None = None


class ActionInstance(View, frozen=True):
    """How far an action is with one instance."""

    instance_id: str = ""
    state: str | None = None
    successor: str | None = None
    error: Any = None


class Action(View, frozen=True):
    """An action: `state` is running, succeeded or failed."""

    action_id: str = ""
    action: str = ""
    by: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    state: str | None = None
    instances: list[ActionInstance] = []


def read(raw: Any, kind: type[T]) -> T:  # noqa: ANN401  # any JSON value
    """Give the typed form of a part of an answer; raises CommandFailed for one of another shape."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise CommandFailed(f"cannot read the manager's answer: {error}") from error


def members(raw: Any, name: str) -> list[dict[str, Any]]:  # noqa: ANN401  # any JSON value
    """Give the objects of an answer's list `name`; raises CommandFailed where there is no such list."""
    found = raw.get(name) if isinstance(raw, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise CommandFailed(f"cannot read the manager's answer: it has no list {name!r}")
    return found


def error_text(error: Any) -> str:  # noqa: ANN401  # a text, or a problem's members
    """Give what went wrong with one instance as text: answers have a text or a problem there."""
    if isinstance(error, dict):
        return str(error.get("detail") or error.get("code") or error)
    return str(error)


def age_seconds(since: datetime | None, now: datetime | None = None) -> float | None:
    """Give the seconds since a time of the manager's clock, 0 where it lies ahead of ours; None for no time."""
    if since is None:
        return None
    return max(0.0, ((now or datetime.now(UTC)) - since).total_seconds())


def earliest(times: Iterable[datetime | None]) -> datetime | None:
    """Give the first of the times that are known; None where none is."""
    return min((time for time in times if time is not None), default=None)
