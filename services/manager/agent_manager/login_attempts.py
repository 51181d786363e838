"""How often an address may guess: whoever gave a wrong key too often waits."""

from collections import deque
from collections.abc import Callable
from typing import Final

from agent_contract.problems import Problem

from agent_manager.networks import network_of

MOST_FAILURES: Final = 10
WINDOW_SECONDS: Final = 60.0
_MOST_ADDRESSES: Final = 10_000
"""About 5 MB; the address that has failed least lately is forgotten first."""


class LoginAttempts:
    """Counts failures by address within the last minute. Keys are random and long: this bounds noise, not luck."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}

    def check(self, host: str) -> None:
        """Let an address try; raises Problem 429 `too-many-attempts` after ten failures within a minute."""
        failures, now = self._failures.get(network_of(host), deque()), self._clock()
        while failures and failures[0] <= now - WINDOW_SECONDS:
            failures.popleft()
        if len(failures) >= MOST_FAILURES:
            seconds = max(1, round(failures[0] + WINDOW_SECONDS - now))
            detail = f"{MOST_FAILURES} wrong keys from this address within a minute: wait {seconds} s"
            raise Problem("too-many-attempts", detail, headers={"Retry-After": str(seconds)})

    def failed(self, host: str) -> None:
        """Count a failure."""
        network = network_of(host)
        failures = self._failures.pop(network, deque(maxlen=MOST_FAILURES))
        failures.append(self._clock())
        self._failures[network] = failures
        if len(self._failures) > _MOST_ADDRESSES:
            del self._failures[next(iter(self._failures))]
