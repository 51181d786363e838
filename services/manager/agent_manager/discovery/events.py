"""What a source of discovery can say, and the interface of one.

`emit` is a plain synchronous call, in production `Registry.apply`: there is no queue, so the order of calls is the
order of events.
"""

from collections.abc import Callable
from typing import Protocol

from agent_contract.wire import Info, ProblemState, Status
from msgspec import Struct

from agent_manager.platform import Pod, Workload
from agent_manager.records import Source


class Seen(Struct, frozen=True, kw_only=True):
    """An instance is there, and answered `/info` as itself."""

    source: Source
    service_url: str
    info: Info
    status: Status
    pod_uid: str | None = None
    """The pod at whose address it answered; nothing happens where that pod is known no more."""


class Gone(Struct, frozen=True, kw_only=True):
    """What this source brought of the agent is not there any more; `instance_id` narrows it to one instance."""

    source: Source
    agent_id: str
    instance_id: str | None = None


class Listed(Struct, frozen=True, kw_only=True):
    """Now everything was told: what this source brought and does not name here is gone.

    `instance_ids` is None for a source that says of each thing that it is gone.
    """

    source: Source
    instance_ids: frozenset[str] | None


class PodSeen(Struct, frozen=True, kw_only=True):
    """A pod is there, or is another than it was."""

    pod: Pod


class PodGone(Struct, frozen=True, kw_only=True):
    """A pod is there no more, or will not run again; with it goes its instance."""

    uid: str


class WorkloadSeen(Struct, frozen=True, kw_only=True):
    """A workload is there, or is another than it was."""

    workload: Workload


class WorkloadGone(Struct, frozen=True, kw_only=True):
    """A workload is there no more; its pods are told of on their own."""

    uid: str


class Denied(Struct, frozen=True, kw_only=True):
    """The manager may not look into a namespace any more (`problem`), or may again (None)."""

    namespace: str
    problem: ProblemState | None


Event = Seen | Gone | Listed | PodSeen | PodGone | WorkloadSeen | WorkloadGone | Denied
Emit = Callable[[Event], None]


class Discovery(Protocol):
    """A source of instances."""

    name: Source

    async def run(self, emit: Emit) -> None:
        """Emit what is found, for ever."""
