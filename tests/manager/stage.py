"""A registry whose time a test moves, with words put into the mouths of instances."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from agent_contract.config import Agent
from agent_contract.wire import (
    DesiredState,
    Drain,
    DrainReason,
    DrainReport,
    Heartbeat,
    Info,
    ProblemState,
    Registration,
    RunningTask,
    State,
    Status,
    Unregistration,
)
from agent_manager.agent_client import Origin
from agent_manager.departures import Departure
from agent_manager.discovery.events import Seen
from agent_manager.journal import Journal
from agent_manager.liveness import SWEEP_SECONDS
from agent_manager.records import AgentRecord, Instance, Timing
from agent_manager.registry import Registry

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
TIMING = Timing(ttl_seconds=30, heartbeat_interval_seconds=5, hold_seconds=15, drain_timeout_seconds=30)


class Clock:
    """Monotonic time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


class RecordingJournal(Journal):
    """A journal that a test can read."""

    codes: list[str]
    agents: list[str]
    messages: list[str]

    def __init__(self) -> None:
        super().__init__(lambda: EPOCH)
        self.codes, self.agents, self.messages = [], [], []

    def record(self, kind: Any, agent: str, code: str, message: str, **facts: Any) -> None:
        """Note an event as the product does, and for the test."""
        super().record(kind, agent, code, message, **facts)
        self.codes.append(code)
        self.agents.append(agent)
        self.messages.append(message)


class QuietJournal(Journal):
    """Keeps nothing: ten thousand steps would write a hundred thousand log lines."""

    def __init__(self) -> None:
        super().__init__(lambda: EPOCH)

    def record(self, *_: Any, **__: Any) -> None:
        """Drop it."""


class Stage:
    """A registry and its time. Instance `a1` is one of agent `a`, and listens at a port of its own."""

    def __init__(self, agents: Iterable[Agent] = (), timing: Timing = TIMING, journal: Journal | None = None) -> None:
        self.clock = Clock()
        self.wall_offset = timedelta()
        self.journal = RecordingJournal()
        self.registry = Registry(agents, timing, journal or self.journal, clock=self.clock, wall=self.wall)
        self.departures: list[Departure] = []
        self.registry.departed.append(self.departures.append)
        self.changes: list[str] = []
        self.registry.subscribe(self.changes.append)

    def wall(self) -> datetime:
        """Give the time for people."""
        return EPOCH + timedelta(seconds=self.clock.now) + self.wall_offset

    def register(
        self,
        instance_id: str,
        url: str | None = None,
        *,
        status: State | None = "running",
        desired: DesiredState | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Instance:
        """Register an instance, as if its URL had been checked."""
        url = url or url_of(instance_id)
        message = Registration(agent_of(instance_id), url, instance_id, metadata, status, desired)
        return self.registry.register(message, Origin.parse(url))

    def beat(self, instance_id: str, status: State = "running", **facts: Any) -> Instance:
        """Let an instance beat."""
        return self.registry.beat(Heartbeat(agent_of(instance_id), instance_id, status, **facts))

    def unregister(self, instance_id: str, drain: DrainReport | None = None) -> None:
        """Let an instance say its last word."""
        self.registry.unregister(Unregistration(agent_of(instance_id), instance_id, "stop", drain))

    def see(self, instance_id: str, url: str | None = None, status: State = "running") -> Instance:
        """Let static discovery find an instance."""
        info = Info(agent_of(instance_id), instance_id)
        seen = Seen(
            source="static",
            service_url=url or url_of(instance_id),
            info=info,
            status=status_of(instance_id, status),
        )
        self.registry.apply(seen)
        return self[instance_id]

    def answer(self, instance_id: str, status: State = "running", *, asked: float = 0.0) -> None:
        """Let an instance answer a probe that was sent `asked` seconds ago."""
        self.registry.observe(self[instance_id], status_of(instance_id, status), self.clock.now - asked)

    def pass_time(self, seconds: float, *beating: str) -> None:
        """Let time pass in ticks of the sweep; those named beat every 5 s meanwhile, last at the end."""
        end = self.clock.now + seconds
        due = self.clock.now + 5
        while self.clock.now < end:
            self.clock.now = min(end, self.clock.now + SWEEP_SECONDS)
            if self.clock.now >= due:
                due += 5
                for instance_id in beating:
                    self.beat(instance_id)
            self.registry.sweep()

    def agent(self, agent_id: str) -> AgentRecord:
        """Give a record."""
        record = self.registry.find(agent_id)
        assert record is not None
        return record

    def ids(self) -> list[str]:
        """Give the ids of all instances."""
        return list(self.registry.instances)

    def __getitem__(self, instance_id: str) -> Instance:
        return self.registry.instances[instance_id]


def agent_of(instance_id: str) -> str:
    """Give the agent of an instance by the letters of its id."""
    return instance_id.rstrip("0123456789")


def url_of(instance_id: str) -> str:
    """Give the address of an instance: each has its own."""
    number = int(instance_id[len(agent_of(instance_id)) :])
    return f"http://10.{sum(map(ord, agent_of(instance_id))) % 250}.{number // 250}.{number % 250 + 1}:8100"


def status_of(instance_id: str, status: State = "running", tasks: int = 0) -> Status:
    """Give an answer of `/status`."""
    running = [RunningTask(f"task-{number}", EPOCH, 1.0) for number in range(tasks)]
    return Status(status=status, tasks=running, instance_id=instance_id, max_concurrency=4)


def drain(remaining: float, reason: DrainReason = "stop") -> Drain:
    """Give a drain under way as an instance sees it, whose wall clock is an hour ahead."""
    return Drain(
        reason=reason,
        safe_to_delete=False,
        blockers=[],
        since=EPOCH,
        deadline=EPOCH + timedelta(hours=1, seconds=min(remaining, 1e6)),
        remaining_seconds=remaining,
    )


def report(cut: int = 0, reason: DrainReason = "stop") -> DrainReport:
    """Give the report of a drain."""
    return DrainReport(reason, 1.5, 3, cut)


CRASHED = ProblemState("agent-crashed", "it exited with 1", EPOCH)
