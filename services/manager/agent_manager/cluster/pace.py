"""How long a watch waits: for an answer, for its end, and before it tries again."""

import random
from typing import Final

from msgspec import Struct

_MOST_DOUBLINGS: Final = 16


class Pace(Struct, frozen=True):
    """How patient a watch is, in seconds."""

    shortest: float = 0.5
    """The first pause is anything up to this, each further one up to twice as much: full jitter, for managers that lost
    one API server at once are not to come back at once."""
    longest: float = 30.0
    steady: float = 10.0
    """A watch that stood for so long was a success: the pauses begin anew. One that is closed at once is none."""
    inactivity: float = 70.0
    """An open watch in which nothing comes for so long is dead: the API server sends a bookmark each minute."""
    watch: tuple[float, float] = (240.0, 300.0)
    """For how long a watch is asked for, by chance: else all would end at once."""

    def watch_seconds(self) -> int:
        """Give how long the next watch is to last."""
        return round(random.uniform(*self.watch))  # noqa: S311  # nothing secret


class Pauses:
    """The pauses between tries, longer with each that came to nothing."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._failures = 0
        self._least = 0.0

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0

    def failed(self) -> None:
        """Note a try that came to nothing."""
        self._failures += 1

    def want(self, seconds: float) -> None:
        """Let the next pause be so long at least: the API server asked for it."""
        self._least = min(max(seconds, 0.0), self._pace.longest)

    def next_seconds(self) -> float:
        """Give how long to wait now."""
        most = min(self._pace.shortest * 2.0 ** min(max(self._failures - 1, 0), _MOST_DOUBLINGS), self._pace.longest)
        least, self._least = self._least, 0.0
        return max(random.uniform(0.0, most), least)  # noqa: S311  # nothing secret
