"""Which of several managers acts: at most one at a time, so that nothing is restarted or scaled twice."""

from collections.abc import Callable
from typing import Protocol

from agent_contract.problems import Problem
from msgspec import Struct

from agent_manager.agent_client import Origin

RETRY_AFTER_SECONDS = 3
"""What a client is told that came while nobody leads: a lease that was given back is taken within 2.4 s."""


class Holder(Struct, frozen=True):
    """The manager that acts at present."""

    identity: str
    origin: Origin | None
    """Where it can be asked; None where it does not say."""


class Leadership(Protocol):
    """Whether this manager acts, and who does where it does not."""

    lost: list[Callable[[], None]]
    """Called synchronously when this manager may act no more."""

    @property
    def is_leader(self) -> bool:
        """Whether this manager may act at this moment: to be read again before each thing that is done."""

    @property
    def holder(self) -> Holder | None:
        """Who acts, as far as this manager could see lately."""

    @property
    def trouble(self) -> str | None:
        """What keeps this manager from finding out who acts."""


class Alone:
    """There is no other manager: this one always acts."""

    is_leader = True
    holder = None
    trouble = None

    def __init__(self) -> None:
        self.lost: list[Callable[[], None]] = []


def no_leader(leadership: Leadership, why: str = "") -> Problem:
    """Give the 503 of what only the leader does; `why` says what became of the one that is known."""
    seen = why or leadership.trouble or "it is given back or ran out, and the next manager takes it within seconds"
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return Problem("no-leader", f"no manager that acts can be asked: {seen}", headers=headers)
