"""Instances that have just lost a call: they get no other until it is known how they are.

A process that is killed is still there for some milliseconds: it takes connections and requests, and answers none. The
first loss tells, and a probe is on its way; whatever were sent meanwhile would be lost too.
"""

from collections.abc import Callable
from typing import Final

from agent_manager.records import Instance

DOUBT_SECONDS: Final = 1.0
"""A probe has its verdict within half a second; after a whole one the registry's word counts again."""


class Doubts:
    """Remembers when an instance lost a call."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._since)

    def begin(self, instance: Instance) -> None:
        """Note that an instance lost a call now."""
        now = self._clock()
        self._since = {key: since for key, since in self._since.items() if now < since + DOUBT_SECONDS}
        self._since[instance.instance_id] = now

    def about(self, instance: Instance) -> bool:
        """Tell whether an instance lost a call and has not answered a probe since."""
        since = self._since.get(instance.instance_id)
        if since is None:
            return False
        if instance.answered_at > since or self._clock() >= since + DOUBT_SECONDS:
            del self._since[instance.instance_id]
            return False
        return True
