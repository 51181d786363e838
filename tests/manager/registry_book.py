"""What a test knows by its own book-keeping of who must be there, who may go, and who must not come back."""

from agent_contract.wire import State
from agent_manager.agent_client import Origin
from agent_manager.departures import Departure
from agent_manager.liveness import SWEEP_SECONDS

from tests.manager.stage import TIMING, Stage

TTL, INTERVAL = TIMING.ttl_seconds, TIMING.heartbeat_interval_seconds


class Known:
    """What the book has of an instance."""

    def __init__(self, now: float) -> None:
        self.heard_at = now
        self.stops_at: float | None = None
        self.refused = False


class Book:
    """Follows the rules of liveness in the plainest way, and checks each departure by them."""

    def __init__(self, stage: Stage) -> None:
        self.registry = stage.registry
        self.clock = stage.clock
        self.known: dict[str, Known] = {}
        self.retired: set[str] = set()
        self.grace_until = self.now + TTL
        self.last_word = self.last_sweep = self.now
        self.registry.departed.append(self.left)

    @property
    def now(self) -> float:
        """The time."""
        return self.clock.now

    def heard(self, instance_id: str, url: str | None = None) -> None:
        """Note a word before it is said; whoever else is at that address will not be there any more."""
        known = self.registry.instances.get(instance_id)
        occupant = None if url is None else self.registry.occupant(Origin.parse(url))
        others = len(self.known) - (occupant is not None and occupant is not known)
        if self.now - self.last_word > 1.2 * INTERVAL and others >= 3:
            self.grace_until = self.now + TTL
        self.last_word = self.now
        self.known.setdefault(instance_id, Known(self.now)).heard_at = self.now

    def says(self, instance_id: str, state: State, remaining: float | None) -> None:
        """Note what was said."""
        known = self.known[instance_id]
        known.refused = False
        if state != "stopping":
            known.stops_at = None
        elif remaining is not None:
            known.stops_at = self.now + remaining
        elif known.stops_at is None:
            known.stops_at = self.now + TIMING.drain_timeout_seconds

    def left(self, departure: Departure) -> None:
        """Check that the departure is by the rules."""
        instance_id = departure.instance.instance_id
        known = self.known.pop(instance_id)
        silent = self.now - known.heard_at
        if departure.reason == "replaced":
            self.retired.add(instance_id)
        elif departure.reason == "expired":
            assert silent >= TTL
            assert self.now >= self.grace_until
            assert known.stops_at is None or self.now >= known.stops_at + TTL
        elif departure.reason == "mass-loss":
            assert silent >= 5 * TTL or known.refused
            assert self.now >= self.grace_until
        elif departure.reason == "withdrawn":
            assert departure.instance.sources == {"static"}

    def sweep(self) -> None:
        """Sweep, and check that nobody is kept beyond the rules."""
        if self.now - self.last_sweep > SWEEP_SECONDS + INTERVAL:
            self.grace_until = self.now + TTL
        self.last_sweep = self.now
        lost = self.registry.sweep()
        assert all("mass-loss" in instance.observed for instance in lost)
        if self.now < self.grace_until:
            assert not lost
            return
        for instance_id, known in self.known.items():
            instance = self.registry.instances[instance_id]
            if instance in lost:  # they have one more sweep, and a probe
                continue
            bound = 5 * TTL if "mass-loss" in instance.observed else TTL
            silent = self.now - known.heard_at
            assert silent < bound or (known.stops_at is not None and self.now < known.stops_at + TTL)
