"""Who is there: the one place that changes records. Synchronous, no I/O, time injected.

Signatures first; bodies follow.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime

from agent_contract.config import Agent
from agent_contract.wire import DesiredState, DrainReport, Heartbeat, Registration, Status, Unregistration
from msgspec import Struct

from agent_manager.agent_client import Origin
from agent_manager.discovery.events import Event
from agent_manager.journal import Journal
from agent_manager.records import AgentRecord, Instance, Source


class Timing(Struct, frozen=True, kw_only=True):
    """The durations that the registry goes by, in seconds."""

    ttl_seconds: float = 30.0
    heartbeat_interval_seconds: float = 5.0
    hold_seconds: float = 15.0
    drain_timeout_seconds: float = 30.0


class Departure(Struct, frozen=True, kw_only=True):
    """An instance that left the registry: `instance.totals` and what it says of drains outlive it in the metrics."""

    instance: Instance
    reason: str
    """`unregistered`, `replaced`, `expired`, `mass-loss`, `withdrawn` (its source took it away)."""
    drain: DrainReport | None = None
    """Its own report, where it unregistered after a drain."""
    drain_lost: bool = False
    """It was stopping, and no unregistration came."""


class Registry:
    """Every agent and instance that this manager knows."""

    agents: dict[str, AgentRecord]
    instances: dict[str, Instance]
    """Of all agents, by instance id."""
    revision: int
    started_at: float
    """Monotonic."""
    timing: Timing
    listed_at: dict[Source, float]
    """Monotonic: when each discovery source last told everything that it knows."""
    departed: list[Callable[[Departure], None]]
    """Called synchronously for each instance that left."""

    def __init__(
        self,
        agents: Iterable[Agent],
        timing: Timing,
        journal: Journal,
        *,
        clock: Callable[[], float],
        wall: Callable[[], datetime],
    ) -> None:
        raise NotImplementedError

    def find(self, agent_id: str) -> AgentRecord | None:
        """Give the agent's record, or None for an unknown one."""
        raise NotImplementedError

    def is_stale(self, instance_id: str) -> bool:
        """Tell whether this was replaced by a newer life: an action on it is 409 `stale-instance`."""
        raise NotImplementedError

    def occupant(self, origin: Origin) -> Instance | None:
        """Give the instance that is known at this address."""
        raise NotImplementedError

    def pick(self, agent_id: str, excluding: Collection[str] = ()) -> Instance | None:
        """Give the routable instance with the fewest calls in hand, in turn among equals; not one of `excluding`."""
        raise NotImplementedError

    def subscribe(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call back with the agent's id after each visible change; gives the function that ends it."""
        raise NotImplementedError

    async def changed(self, agent_id: str, timeout_seconds: float) -> None:
        """Return at the next visible change of that agent, known or not, after `timeout_seconds` at the latest."""
        raise NotImplementedError

    def set_desired_state(self, agent_id: str, state: DesiredState, *, by: str | None) -> None:
        """Note what an operator ordered; `start` is `running`."""
        raise NotImplementedError

    def observe(self, instance: Instance, status: Status, asked_at: float) -> None:
        """Take a `/status` (of a probe, or the answer to an action) that was asked for at `asked_at`, monotonic.

        It counts as heard; its state counts unless a beat came after it was asked for.
        """
        raise NotImplementedError

    def apply(self, event: Event) -> None:
        """Take what a discovery source emits."""
        raise NotImplementedError

    # what the adapter routes and the prober use

    def register(self, registration: Registration, origin: Origin) -> Instance:
        """Take a registration that was checked: who else was known at that address is replaced."""
        raise NotImplementedError

    def beat(self, beat: Heartbeat) -> Instance:
        """Take a beat; raises Problem 404 `unknown-instance`, 409 `stale-instance`."""
        raise NotImplementedError

    def unregister(self, message: Unregistration) -> None:
        """Take an instance's last word; nothing happens for an unknown one. Raises Problem 409 `stale-instance`."""
        raise NotImplementedError

    def probe_failed(self, instance: Instance, detail: str, *, refused: bool) -> None:
        """Count a probe without an answer: one refused or two in a row end routing."""
        raise NotImplementedError

    def found_other_life(self, instance: Instance, other_id: str) -> None:
        """Drop an instance at whose address another life answered; its id does not come back."""
        raise NotImplementedError

    def sweep(self) -> list[Instance]:
        """Drop who was silent for too long; give those lost all at once, which are to be probed now."""
        raise NotImplementedError
