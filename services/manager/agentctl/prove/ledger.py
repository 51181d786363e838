"""The ledger of a load: what the callers were told, in numbers that must add up."""

import threading
from collections import Counter
from typing import Final

from agentctl.client import Answer
from agentctl.failures import CommandFailed, ManagerAway

ACCEPTED: Final = ("succeeded", "failed", "cancelled", "interrupted", "unknown")
"""What can become of a call that was accepted."""
LOST: Final = ("interrupted", "unknown")


class Ledger:
    """Counts calls by what their callers were told. Many threads write into it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()
        self._begun = 0

    def begin(self) -> None:
        """Note a call that is made now."""
        with self._lock:
            self._begun += 1

    def end(self, told: str, code: str | None = None) -> None:
        """Note what became of one: refused, or one of those in ACCEPTED; `code` is the problem's."""
        with self._lock:
            self._told[told] += 1
            if code is not None:
                self._codes[code] += 1

    @property
    def in_hand(self) -> int:
        """How many calls wait for their answer."""
        return self._begun - self._told.total()

    @property
    def lost(self) -> int:
        """How many accepted calls have no result, and no failure of the agent's own either."""
        return sum(self._told[name] for name in LOST)

    def numbers(self) -> dict[str, int]:
        """Give the numbers: calls = refused + accepted, accepted = the sum of what can become of a call."""
        accepted = {name: self._told[name] for name in ACCEPTED}
        return {
            "calls": self._begun,
            "refused": self._told["refused"],
            "accepted": sum(accepted.values()),
            **accepted,
        }

    def codes(self) -> dict[str, int]:
        """Give how often each problem came, the most frequent first."""
        return dict(self._codes.most_common())


def verdict(outcome: Answer | CommandFailed) -> tuple[str, str | None]:
    """Give what an answer says became of its call, and the problem's code.

    A refusal is proof that no work began; a connection that was not made as well. One that ended before the answer did
    leaves it unknown.
    """
    if isinstance(outcome, Answer):
        return "succeeded", None
    if isinstance(outcome, ManagerAway):
        return ("unknown" if outcome.asked else "refused"), outcome.code or "unreachable"
    if outcome.started is False:
        return "refused", outcome.code
    became = outcome.outcome if outcome.outcome in ACCEPTED else None
    return became or "failed", outcome.code
