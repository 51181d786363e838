"""Moments of the monotonic clock as times of day."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

_SLACK_SECONDS: Final = 0.05
"""How far the clocks may drift apart before the difference is taken anew. Below it a moment always has one text; above
it the time of day was set, or has drifted for days, and what is said now must be right now."""


class WallClock:
    """Gives the time of day of moments; a moment has the same one however often it is asked for."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._wall = wall
        self._offset = wall() - clock()

    def unix(self, at: float) -> float:
        """Give the Unix time of a moment of the monotonic clock, in seconds."""
        offset = self._wall() - self.clock()
        if abs(offset - self._offset) > _SLACK_SECONDS:
            self._offset = offset
        return at + self._offset

    def __call__(self, at: float) -> datetime:
        """Give a moment of the monotonic clock in UTC."""
        return datetime.fromtimestamp(self.unix(at), UTC)
