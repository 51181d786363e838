"""What happened lately: the last 10,000 events, as a stream that can be resumed."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Literal

Kind = Literal["agent", "action", "drain", "verdict"]


class Journal:
    """The last events of this manager."""

    def __init__(self, wall: Callable[[], datetime], *, kept: int = 10_000) -> None:
        raise NotImplementedError

    def record(
        self, kind: Kind, agent: str, code: str, message: str, *, instance_id: str | None = None, by: str | None = None
    ) -> None:
        """Note an event and wake who follows."""
        raise NotImplementedError

    def follow(self, last_event_id: str | None = None) -> AsyncIterator[bytes]:
        """Give the events after `last_event_id` (None: from now on) as SSE frames; `reset` first for an unknown id."""
        raise NotImplementedError
