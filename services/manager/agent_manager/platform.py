"""What a platform says of an agent: its pods, and the workloads that make them."""

from datetime import datetime
from typing import Literal

from agent_contract.wire import DesiredState, ProblemState, State
from msgspec import Struct

from agent_manager.agent_client import Origin

WorkloadKind = Literal["Deployment", "StatefulSet"]


class Pod(Struct, frozen=True, kw_only=True):
    """A pod that carries an agent's label, as the platform last told of it."""

    uid: str
    """Another pod of the same name has another one."""
    agent_id: str
    namespace: str
    name: str
    created_at: datetime | None = None
    node: str | None = None
    ip: str | None = None
    origin: Origin | None = None
    """Where its adapter listens: None as long as it has no address."""
    image: str | None = None
    phase: str = "Pending"
    ready: bool = False
    restarts: int = 0
    """Of its adapter's container, as the kubelet counts."""
    reason: str | None = None
    """Why it is as it is, in the platform's words: `ImagePullBackOff`, `OOMKilled`, `Unschedulable`."""
    leaving: bool = False
    """It has a `deletionTimestamp`: it is being ended, whatever its adapter says."""
    running: bool = False
    """Its adapter's container runs: somebody may answer at its address."""
    problem: ProblemState | None = None

    @property
    def state(self) -> State:
        """The state of a pod in which no process is known."""
        return "stopping" if self.leaving else "starting"


class Workload(Struct, frozen=True, kw_only=True):
    """A Deployment or StatefulSet that carries an agent's label."""

    uid: str
    agent_id: str
    kind: WorkloadKind
    namespace: str
    name: str
    replicas: int = 1
    """How many pods it asks for."""
    kept_replicas: int | None = None
    """How many it asked for before a stop; None where nobody noted it."""
    desired_state: DesiredState | None = None
    """What its annotation says was last ordered; None: nothing. `stopped` with replicas above 0 reads as `running`."""
    generation: int = 0
    """Counts the changes of its spec: what was ordered is seen here from the order's generation on."""
    rolling: bool = False
    """A new template is under way and not every pod is of it."""

    @property
    def title(self) -> str:
        """Which one it is, for people."""
        return f"{self.kind} {self.namespace}/{self.name}"
