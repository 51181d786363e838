"""The messages between client, manager and adapter.

What a client sends is strict: an unknown member is an error. What adapter and manager send one another is lenient:
unknown members are ignored and a missing optional one has its default, so that two neighbouring versions work together.
Times are RFC 3339 in UTC, durations are seconds, names are camelCase but for `current_task`.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from agent_contract.identity import AGENT_ID_PATTERN

State = Literal["starting", "running", "paused", "stopping", "stopped"]
DesiredState = Literal["running", "paused", "stopped"]
DrainReason = Literal["stop", "restart", "signal"]
TaskState = Literal["queued", "running", "succeeded", "failed", "cancelled"]

AgentId = Annotated[str, Meta(pattern=AGENT_ID_PATTERN, max_length=63)]
InstanceId = Annotated[str, Meta(min_length=1, max_length=128)]
Seconds = Annotated[float, Meta(ge=0, le=604_800)]
"""A duration that a client may ask for: at most a week, so that no arithmetic on it overflows."""


class Strict(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """What a client sends."""


class Message(Struct, rename="camel", frozen=True):
    """What adapter and manager send."""


# --- what clients ask -------------------------------------------------------------------------------------------------


class ExecuteRequest(Strict, frozen=True):
    """The body of `POST /execute`."""

    parameters: dict[str, Any]


class ActionRequest(Strict, frozen=True):
    """The body of the adapter's `POST /action`."""

    action: Literal["pause", "resume", "stop", "restart"]
    timeout_seconds: Seconds | UnsetType = UNSET


class AgentActionRequest(Strict, frozen=True):
    """The body of the manager's `POST /api/agent-services/{id}/action`."""

    action: Literal["pause", "resume", "stop", "restart", "start"]
    instance_id: InstanceId | UnsetType = UNSET
    timeout_seconds: Seconds | UnsetType = UNSET
    strategy: Literal["rollout"] | UnsetType = UNSET


class DrainPatch(Strict, frozen=True):
    """The body of `PATCH /drain`: the deadline is to lie this many seconds from now."""

    timeout_seconds: Seconds


# --- what an adapter says ---------------------------------------------------------------------------------------------


class Progress(Message, frozen=True):
    """How far a task is: a fraction from 0 to 1 where it is known, and a text."""

    fraction: float | None = None
    message: str | None = None


class ProblemState(Message, frozen=True):
    """What keeps an instance from serving, since when."""

    code: str
    detail: str
    since: datetime


class RunningTask(Message, frozen=True):
    """A task that runs, in `/status`."""

    task_id: str
    started_at: datetime
    age_seconds: float
    deadline: datetime | None = None
    caller: str | None = None
    progress: Progress | None = None


class Blocker(Message, frozen=True):
    """A task that holds a drain."""

    task_id: str
    age_seconds: float
    eta_seconds: float | None = None
    progress: Progress | None = None
    caller: str | None = None


class Drain(Message, frozen=True):
    """A drain under way; or, with no reason, what would hold one."""

    reason: DrainReason | None
    safe_to_delete: bool
    blockers: list[Blocker]
    since: datetime | UnsetType = UNSET
    deadline: datetime | UnsetType = UNSET
    remaining_seconds: float | UnsetType = UNSET
    eta_seconds: float | UnsetType | None = UNSET


class Status(Message, frozen=True):
    """The answer of `GET /status`."""

    status: State
    current_task: str | None = msgspec.field(name="current_task", default=None)
    tasks: list[RunningTask] = []
    queued: int = 0
    max_concurrency: int = 1
    instance_id: str = ""
    since: datetime | None = None
    drain: Drain | None = None
    problem: ProblemState | None = None


class Capabilities(Message, frozen=True):
    """What a caller may ask of the agent beside a plain call."""

    streaming: bool = False
    cancel: bool = False


class Info(Message, frozen=True):
    """The answer of `GET /info`; what nobody said is null."""

    id: str
    instance_id: str
    name: str | None = None
    description: str | None = None
    version: str | None = None
    default_model: str | None = None
    metadata: dict[str, Any] | None = None
    parameters_schema: dict[str, Any] | None = None
    started_at: datetime | None = None
    adapter_version: str | None = None
    capabilities: Capabilities = Capabilities()


class TaskView(Message, frozen=True):
    """A task as `GET /tasks/{taskId}` shows it; a listing leaves out `result` and `problem`."""

    task_id: str
    state: TaskState
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_seconds: float | None = None
    deadline: datetime | None = None
    caller: str | None = None
    progress: Progress | None = None
    result: Raw | UnsetType = UNSET
    problem: Raw | UnsetType = UNSET
    result_dropped: bool | UnsetType = UNSET


class TaskList(Message, frozen=True):
    """The answer of `GET /tasks`."""

    tasks: list[TaskView]


# --- between adapter and manager --------------------------------------------------------------------------------------


class Registration(Message, frozen=True):
    """The body of `POST /api/agent-services/register`.

    `metadata` is what the manager shows of the instance; it reads `name`, `description`, `version`, `adapterVersion`,
    `startedAt`, `maxConcurrency` and `parametersSchema`, and does not keep the rest.
    """

    id: AgentId
    service_url: Annotated[str, Meta(min_length=1, max_length=2048)]
    instance_id: InstanceId
    metadata: dict[str, Any] | None = None
    status: State | None = None
    desired_state: DesiredState | None = None


class Orders(Message, frozen=True):
    """What the manager answers to a registration and to a heartbeat."""

    ttl_seconds: float
    heartbeat_interval_seconds: float
    desired_state: DesiredState = "running"


class Totals(Message, frozen=True):
    """An instance's counters since its start, so that a manager knows them also when the instance is gone."""

    succeeded: int = 0
    failed: int = 0
    rejected: int = 0
    cancelled: int = 0
    timeout: int = 0
    interrupted: int = 0
    durations: list[int] = []
    """How many tasks ran how long, by bucket (`agent_contract.buckets`), each without those below it."""


class Heartbeat(Message, frozen=True):
    """The body of `POST /api/agent-services/heartbeat`."""

    id: AgentId
    instance_id: InstanceId
    status: State
    current_task: str | None = msgspec.field(name="current_task", default=None)
    running: int = 0
    queued: int = 0
    drain: Drain | None = None
    problem: ProblemState | None = None
    totals: Totals | None = None


class DrainReport(Message, frozen=True):
    """How a drain went: the proof of what it lost."""

    reason: DrainReason
    duration_seconds: float
    finished_tasks: int
    cut_tasks: int


class Unregistration(Message, frozen=True):
    """The body of `POST /api/agent-services/unregister`: an instance's last word."""

    id: AgentId
    instance_id: InstanceId
    reason: str = "stop"
    drain: DrainReport | None = None
    totals: Totals | None = None


class FinishedTask(Message, frozen=True):
    """A result that nobody fetched, or the problem that came in its place."""

    task_id: str
    state: Literal["succeeded", "failed", "cancelled"]
    ended_at: datetime
    key: str | None = None
    result: Raw | UnsetType = UNSET
    problem: Raw | UnsetType = UNSET


class HandOver(Message, frozen=True):
    """The body of `POST /api/agent-services/results`."""

    id: AgentId
    instance_id: InstanceId
    results: list[FinishedTask]
