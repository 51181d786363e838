"""What every agent did over the last ten minutes, in steps of five seconds: who looks at night sees the evening.

Five numbers a step and agent: tasks that run, tasks that wait, calls answered, calls that failed, and the 95th
percentile of how long calls took over the last minute. An agent costs about 5 KB; of more than 5,000 the rest has none.
"""

import asyncio
from array import array
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import msgspec
from agent_contract.sse import encode_event
from msgspec import Struct

from agent_manager.background import Background
from agent_manager.records import AgentRecord
from agent_manager.registry import Registry

STEP_SECONDS: Final = 5.0
KEPT: Final = 120
"""Columns: ten minutes of steps, the one that is being written among them."""
MOST_AGENTS: Final = 5_000
"""25 MB at most."""
SERIES: Final = ("running", "queued", "calls", "errors", "p95")
_MINUTE: Final = 12
"""Steps over which the percentile is taken: one step of a quiet agent has too few calls to say anything."""
_BATCH: Final = 100
"""Agents in one event, and between two turns of the loop."""
_FIRST_ERROR: Final = 500


class Tally(Struct, frozen=True):
    """What calls to an agent came to since the manager's start."""

    codes: dict[int, int]
    buckets: tuple[int, ...]
    """How many took no longer than each bound and longer than the one before it; the last has no bound."""


class _Ring:
    """One agent's last steps; the column of a step is its number modulo `KEPT`."""

    __slots__ = ("calls", "columns", "errors", "minute")

    def __init__(self, tally: Tally) -> None:
        self.columns = tuple(array("I", bytes(KEPT * 4)) for _ in SERIES)
        self.calls, self.errors = _totals(tally)
        self.minute = deque([tally.buckets], maxlen=_MINUTE + 1)

    def write(self, column: int, running: int, queued: int, tally: Tally, bounds: Sequence[float]) -> list[int]:
        """Note a step; gives its numbers."""
        calls, errors = _totals(tally)
        same = self.minute[-1] == tally.buckets  # of an agent without calls one row is kept, not thirteen
        self.minute.append(self.minute[-1] if same else tally.buckets)
        lately = [now - then for now, then in zip(tally.buckets, self.minute[0], strict=True)]
        step = [running, queued, calls - self.calls, errors - self.errors, round(quantile(bounds, lately, 0.95) * 1000)]
        self.calls, self.errors = calls, errors
        for series, number in zip(self.columns, step, strict=True):
            series[column] = number
        return step

    def series(self, ticks: int) -> list[list[int] | int]:
        """Give each series, oldest step first; 0 in the place of one that is nothing else."""
        at, known = ticks % KEPT, min(ticks, KEPT - 1)  # the column at `at` is perhaps being written
        ordered = ([*column[at:], *column[:at]][KEPT - known :] for column in self.columns)
        return [numbers if any(numbers) else 0 for numbers in ordered]


class Samples:
    """Looks at every agent each five seconds, and tells who follows."""

    def __init__(
        self,
        registry: Registry,
        tally: Callable[[str], Tally],
        bounds: Sequence[float],
        background: Background,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._tally = tally
        self._bounds = bounds
        self._background = background
        self._clock = clock
        self._rings: dict[str, _Ring] = {}
        self._ticks = 0
        self._frame = b""
        self._followers: set[asyncio.Event] = set()

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            await asyncio.sleep(STEP_SECONDS)
            await self._background.step("samples", self.look)

    async def look(self) -> None:
        """Note a step of every agent."""
        records = list(self._registry.agents.values())[:MOST_AGENTS]
        self._rings = {record.id: self._rings.get(record.id) or _Ring(self._tally(record.id)) for record in records}
        said: dict[str, list[int]] = {}
        for number, record in enumerate(records, 1):
            said[record.id] = self._look_at(record)
            if number % _BATCH == 0:
                await asyncio.sleep(0)
        self._ticks += 1
        self._frame = encode_event("step", msgspec.json.encode({"tick": self._ticks, "agents": said}))
        for follower in self._followers:
            follower.set()

    async def follow(self) -> AsyncIterator[bytes]:
        """Give an event `past` for each hundred agents, and then an event `step` each five seconds.

        A reader that misses a step gets the past again: what it draws has no holes.
        """
        woken, seen = asyncio.Event(), -1
        self._followers.add(woken)
        try:
            while True:
                woken.clear()
                if seen != self._ticks - 1:
                    seen = self._ticks
                    for frame in self._past():
                        yield frame
                else:
                    seen = self._ticks
                    yield self._frame
                if seen == self._ticks:
                    await woken.wait()
        finally:
            self._followers.discard(woken)

    def _look_at(self, record: AgentRecord) -> list[int]:
        """Note a step of one agent; gives it with the seconds since its quietest instance was heard, -1 for none."""
        instances = record.instances.values()
        running, queued = sum(one.running for one in instances), sum(one.queued for one in instances)
        ring = self._rings[record.id]
        step = ring.write(self._ticks % KEPT, running, queued, self._tally(record.id), self._bounds)
        heard_at = min((one.heard_at for one in instances), default=None)
        return [*step, -1 if heard_at is None else max(0, round(self._clock() - heard_at))]

    def _past(self) -> list[bytes]:
        ids = list(self._rings)
        starts = range(0, max(1, len(ids)), _BATCH)
        return [
            encode_event(
                "past",
                msgspec.json.encode(
                    {
                        "tick": self._ticks,
                        "first": start == 0,
                        "agents": {one: self._rings[one].series(self._ticks) for one in ids[start : start + _BATCH]},
                    }
                ),
            )
            for start in starts
        ]


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float:
    """Give the value below which this share of the counted lies, as Prometheus' `histogram_quantile` does; 0 for none.

    What lies above the last bound counts as that bound.
    """
    wanted, below, lower = sum(counts) * share, 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and below + count >= wanted:
            return lower + (bound - lower) * (wanted - below) / count
        below, lower = below + count, bound
    return lower if sum(counts) else 0.0


def _totals(tally: Tally) -> tuple[int, int]:
    errors = sum(number for code, number in tally.codes.items() if code >= _FIRST_ERROR)
    return sum(tally.codes.values()), errors
