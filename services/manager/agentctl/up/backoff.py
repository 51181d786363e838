"""How long to wait before a crashed process is started again."""

import random
from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 30.0
CALM_SECONDS: Final = 60.0
"""A life this long was no failed start: the next crash begins at the first delay again."""


class Backoff:
    """Delays with full jitter below a ceiling that doubles from 0.5 s to 30 s with each crash."""

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._crashes = 0

    def after(self, lived_seconds: float) -> float:
        """Give the seconds to wait after a life of `lived_seconds` that ended in a crash."""
        if lived_seconds >= CALM_SECONDS:
            self._crashes = 0
        ceiling = min(LONGEST_SECONDS, FIRST_SECONDS * 2**self._crashes)
        self._crashes = min(self._crashes + 1, 16)
        return self._uniform(0.0, ceiling)
