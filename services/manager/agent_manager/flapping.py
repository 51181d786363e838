"""An agent that comes and goes every few seconds: routing does not follow each turn, and the listing says so.

Each address counts for itself. A restart that was ordered is no flap, and neither is one loss.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from msgspec import Struct, field

from agent_manager.agent_client import Origin

DOWNS: Final = 5
WITHIN_SECONDS: Final = 60.0
"""So many losses within this time are flapping: a rolling restart by hand stays below it, a crash loop does not."""
STEADY_SECONDS: Final = 5.0
"""How long it must be up to be called again: well below the time that calls are held."""
_MOST_SLOTS: Final = 50_000


class Slot(Struct):
    """The history of one address of an agent."""

    lives: int = 0
    downs: deque[float] = field(default_factory=lambda: deque(maxlen=DOWNS))
    changed_at: float = 0.0
    """When it came up or went down last."""
    is_up: bool = False
    flapping: bool = False


class Slots:
    """The history of every address, the least lately used forgotten first."""

    def __init__(self) -> None:
        self._slots: dict[tuple[str, Origin], Slot] = {}
        self._flapping: set[tuple[str, Origin]] = set()

    def begin(self, agent_id: str, origin: Origin, now: float) -> Slot:
        """Note a new process at this address; gives its history, `lives` counting this one."""
        slot = self._slots.pop((agent_id, origin), None) or Slot()
        self._slots[agent_id, origin] = slot
        while len(self._slots) > _MOST_SLOTS:
            self._drop(next(iter(self._slots)))
        slot.lives += 1
        slot.changed_at, slot.is_up = now, True
        return slot

    def up(self, agent_id: str, origin: Origin, now: float) -> bool:
        """Note that it can be talked to again; tells whether routing shall wait until it is steady."""
        slot = self._slots.get((agent_id, origin))
        if slot is None:
            return False
        slot.changed_at, slot.is_up = now, True
        return slot.flapping

    def down(self, agent_id: str, origin: Origin, now: float) -> bool:
        """Note a loss that nobody ordered; tells whether this is what makes it flapping."""
        slot = self._slots.get((agent_id, origin))
        if slot is None:
            return False
        slot.downs.append(now)
        slot.changed_at, slot.is_up = now, False
        if slot.flapping or len(slot.downs) < DOWNS or now - slot.downs[0] > WITHIN_SECONDS:
            return False
        slot.flapping = True
        self._flapping.add((agent_id, origin))
        return True

    def forget(self, agent_id: str, origin: Origin) -> None:
        """Drop the history of an address that is nobody's now: who gets it next is no successor of who had it."""
        if (agent_id, origin) in self._slots:
            self._drop((agent_id, origin))

    def calmed(self, now: float) -> Iterator[tuple[str, Origin]]:
        """Give the addresses that flap no more: up for long enough, or left alone for a minute."""
        for key in tuple(self._flapping):
            slot = self._slots[key]
            if now - slot.changed_at >= (STEADY_SECONDS if slot.is_up else WITHIN_SECONDS):
                slot.flapping = False
                self._flapping.discard(key)
                yield key

    def flaps(self, agent_id: str) -> bool:
        """Tell whether one of the agent's addresses flaps."""
        return any(agent_id == flapping for flapping, _ in self._flapping)

    def _drop(self, key: tuple[str, Origin]) -> None:
        del self._slots[key]
        self._flapping.discard(key)
