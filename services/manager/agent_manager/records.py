"""What the manager knows: a record for each agent, and in it one for each of its processes.

Only the registry changes records; everyone else reads them. One exception: `Instance.calls` belongs to dispatch.
Times that decide are monotonic seconds, times for people are wall time in UTC.
"""

from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from agent_contract.config import Agent
from agent_contract.wire import DesiredState, Drain, ProblemState, State, Totals
from msgspec import Struct

from agent_manager.agent_client import Call, Origin
from agent_manager.platform import Pod, Workload

Source = Literal["kubernetes", "registration", "static"]
SOURCES: Final[tuple[Source, ...]] = ("kubernetes", "registration", "static")
"""Who says that an instance exists, the one that decides first."""

Observation = Literal["mass-loss", "unreachable", "flapping", "beats-missing"]
_UNREACHABLE: Final[frozenset[Observation]] = frozenset(("mass-loss", "unreachable"))
_UNROUTED: Final[frozenset[Observation]] = _UNREACHABLE | {"flapping"}
_PRECEDENCE: Final[tuple[State, ...]] = ("running", "paused", "stopping", "starting")


class Timing(Struct, frozen=True, kw_only=True):
    """The durations that the manager's knowledge goes by, in seconds."""

    ttl_seconds: float = 30.0
    heartbeat_interval_seconds: float = 5.0
    hold_seconds: float = 15.0
    drain_timeout_seconds: float = 30.0
    """For an agent without its own."""


class Instance(Struct, eq=False, kw_only=True):
    """One process of an agent. Compared by identity: a successor with equal facts is another instance."""

    agent_id: str
    instance_id: str
    service_url: str
    origin: Origin
    registrant: str | None = None
    """Whose registration made it known: an agent's own token, else an address; None where nobody registered it."""
    sources: set[Source] = msgspec.field(default_factory=set)
    pod: Pod | None = None
    """Where it runs, as the platform last told: its existence is the pod's. `kubernetes` is among its sources then."""

    said_state: State = "starting"
    """Its own last word: a beat's, or that of `/status`."""
    platform_state: State | None = None
    """What the platform says over its head: `stopping` from the moment that its pod is being deleted."""
    said_problem: ProblemState | None = None
    observed: dict[Observation, ProblemState] = msgspec.field(default_factory=dict)
    """What this manager sees by itself, by code."""
    drain: Drain | None = None

    heard_at: float
    """Monotonic: the last registration, beat, or probe that this very process answered."""
    beat_at: float | None = None
    """Monotonic: the last registration or beat; None for one that never registered here."""
    answered_at: float
    """Monotonic: the last probe that it answered; when it became known, before that."""
    probed_at: float
    """Monotonic: when it was last asked, or became known."""
    failed_probes: int = 0
    """How many probes in a row got no answer."""
    kept_until: float | None = None
    """Monotonic, only while it stops: the end of its drain and one TTL more. Before that silence proves nothing."""

    started_at: datetime | None = None
    registered_at: datetime | None = None
    last_seen: datetime | None = None
    version: str | None = None
    adapter_version: str | None = None
    restarts: int = 0
    """How many processes were at this address before it, while this manager looked."""
    max_concurrency: int | None = None
    current_task: str | None = None
    running: int = 0
    queued: int = 0
    totals: Totals | None = None
    calls: set[Call] = msgspec.field(default_factory=set)
    """What this manager has in hand there: dispatch adds and discards, the prober aborts those that are lost."""

    @property
    def source(self) -> Source:
        """The source that decides that the instance exists."""
        return next(source for source in SOURCES if source in self.sources)

    @property
    def state(self) -> State:
        """The platform's word where there is one, else the instance's own."""
        return self.platform_state or self.said_state

    @property
    def reachable(self) -> bool:
        """Whether this manager could talk to it lately, and did not lose it with many others at once."""
        return self.observed.keys().isdisjoint(_UNREACHABLE)

    @property
    def routable(self) -> bool:
        """Whether calls go there: it runs, is reachable, and does not come and go every few seconds."""
        return self.state == "running" and self.observed.keys().isdisjoint(_UNROUTED)

    @property
    def problem(self) -> ProblemState | None:
        """What keeps it from serving: what explains most first, and last what does no harm yet.

        The platform knows why nobody answers, this manager sees only that; then comes its own word.
        """
        if self.pod is not None and self.pod.problem is not None:
            return self.pod.problem
        for code in ("mass-loss", "unreachable"):
            if code in self.observed:
                return self.observed[code]
        return self.said_problem or self.observed.get("flapping") or self.observed.get("beats-missing")


class AgentRecord(Struct, eq=False, kw_only=True):
    """One agent: what the configuration, an operator and its instances say of it."""

    id: str
    configured: Agent | None = None
    desired_state: DesiredState = "running"
    ordered: bool = False
    """An operator ordered the desired state here; one that an adapter brought along is not."""
    instances: dict[str, Instance] = msgspec.field(default_factory=dict)
    """By instance id, in order of appearance."""
    pods: dict[str, Pod] = msgspec.field(default_factory=dict)
    """By uid: all that the platform tells of."""
    bare_pods: dict[str, Pod] = msgspec.field(default_factory=dict)
    """Those of `pods` in which no process is known: listed as instances of their own, and never called."""
    workloads: dict[str, Workload] = msgspec.field(default_factory=dict)
    """By uid."""
    denied: ProblemState | None = None
    """Set while the manager may not look into a namespace of its pods and workloads."""
    rollout_waits: ProblemState | None = None
    """Set while a workload rolls out pods that are to be paused: they are never ready."""
    said_name: str | None = None
    said_description: str | None = None
    said_schema: bytes | None = None
    """What the last instance that came said of the agent: kept when it left, for those that look.

    The schema of its parameters is kept as JSON: taken apart it may take twenty times as much.
    """
    unroutable_since: float | None = None
    """Monotonic: when the last instance that could take a call began to go; None while there is one.

    An agent that never had one has had none since it became known.
    """
    port_refuses: bool | None = None
    """Whether its configured port refused when last asked, or another agent answered there; None: no verdict."""
    flapping: ProblemState | None = None
    """Set while its instances come and go every few seconds, also while none is there."""
    revision: int = 0
    """The registry's revision of the last visible change."""
    touched: int = 0
    """Counts everything that makes its JSON text another, `lastSeen` too."""
    turn: int = 0
    """Whose turn it is among those with equally few calls."""

    @property
    def states(self) -> list[State]:
        """The state of each instance, and of each pod without one."""
        parts: list[Instance | Pod] = [*self.instances.values(), *self.bare_pods.values()]
        return [part.state for part in parts]

    @property
    def state(self) -> State:
        """The sum of the states: the most capable one counts; `stopped` where none is there."""
        states = set(self.states)
        return next((state for state in _PRECEDENCE if state in states), "stopped")

    @property
    def desired_instances(self) -> int | None:
        """How many its workloads ask for; None where nobody says."""
        return sum(workload.replicas for workload in self.workloads.values()) if self.workloads else None

    @property
    def waiting_workload(self) -> Workload | None:
        """The workload whose rollout waits until this agent is resumed."""
        if self.desired_state != "paused":
            return None
        return next((workload for workload in self.workloads.values() if workload.rolling), None)

    @property
    def problem(self) -> ProblemState | None:
        """What concerns all of it, else the oldest problem among its instances and pods."""
        of_all = self.flapping or self.denied or self.rollout_waits
        parts: list[Instance | Pod] = [*self.instances.values(), *self.bare_pods.values()]
        problems = [part.problem for part in parts if part.problem is not None]
        return of_all or min(problems, key=lambda problem: problem.since, default=None)

    @property
    def sources(self) -> list[str]:
        """Who knows it: the configuration, and each source that brought a part of it."""
        brought = {source for instance in self.instances.values() for source in instance.sources}
        if self.pods or self.workloads:
            brought.add("kubernetes")
        return ["configuration"] * (self.configured is not None) + [source for source in SOURCES if source in brought]

    @property
    def name(self) -> str | None:
        """The configured name, else what its instances say."""
        configured = None if self.configured is None else self.configured.name
        return configured if isinstance(configured, str) else self.said_name

    @property
    def description(self) -> str | None:
        """The configured description, else what its instances say."""
        configured = None if self.configured is None else self.configured.description
        return configured if isinstance(configured, str) else self.said_description

    @property
    def parameters_schema(self) -> dict[str, Any] | None:
        """The configured schema of its parameters, else the one that its instances made from their code."""
        configured = None if self.configured is None else self.configured.parameters_schema
        if isinstance(configured, dict):
            return configured
        return None if self.said_schema is None else msgspec.json.decode(self.said_schema, type=dict[str, Any])
