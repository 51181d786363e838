"""The life of an instance: which state it is in, which orders change it.

    starting -> running <-> paused
    running | paused -> stopping -> stopped
    stopping -> the state before, only by calling the drain off, only if no signal ordered it

It knows no HTTP, no signal and no clock of its own; every change is told to `on_change` synchronously.
"""

from collections.abc import Callable
from typing import Literal

from agent_contract.problems import Problem
from agent_contract.wire import DrainReason, State

from agent_adapter import drain as drains
from agent_adapter.drain import Drain, DrainLimits

Action = Literal["pause", "resume", "stop", "restart"]


class Lifecycle:
    """The state machine of one instance. Times are seconds of `clock`, which is monotonic."""

    def __init__(self, clock: Callable[[], float], limits: DrainLimits, on_change: Callable[[], None]) -> None:
        self._clock = clock
        self._limits = limits
        self._on_change = on_change
        self._up = False
        self._paused = False
        self._leaving = False
        self._left = False
        self._last: State = "starting"
        self.drain: Drain | None = None
        self.since = clock()

    @property
    def state(self) -> State:
        """The state as `/status` says it."""
        if self._left:
            return "stopped"
        if self.drain is not None:
            return "stopping"
        if not self._up:
            return "starting"
        return "paused" if self._paused else "running"

    @property
    def takes_work(self) -> bool:
        """Whether `/execute` is admitted: when running, and in the quiet period after a signal."""
        if self.drain is None:
            return self._up and not self._paused
        return self._up and not self._paused and self._clock() < self.drain.quiet_until

    @property
    def paused(self) -> bool:
        """Whether it is paused, or would be if it were not draining."""
        return self._paused

    @property
    def leaving(self) -> bool:
        """Whether the point of no return was passed: the drain is over and the process goes."""
        return self._leaving

    def come_up(self) -> None:
        """Leave `starting`: the agent is there and the first registration was answered or failed."""
        self._up = True
        self._changed()

    def act(self, action: Action, timeout_seconds: float | None = None) -> None:
        """Obey an operator's order; raises Problem 409 `stopping` for a pause or resume during a drain."""
        if action == "stop" or action == "restart":  # noqa: PLR1714  # so that the type narrows
            self.leave(action, timeout_seconds)
        elif self.drain is not None:
            raise Problem("stopping", f"cannot {action}: the instance is draining; call the drain off first")
        else:
            self._paused = action == "pause"
            self._changed()

    def leave(self, reason: DrainReason, timeout_seconds: float | None = None) -> None:
        """Begin a drain, or let one more order meet the drain under way."""
        now = self._clock()
        if self.drain is None:
            self.drain = drains.begin(reason, now, timeout_seconds, self._limits)
        elif not self._leaving:
            self.drain = drains.meet(self.drain, reason, now, timeout_seconds, self._limits)
        elif reason != "restart" and self.drain.restarts:
            self.drain = drains.meet(self.drain, reason, now, None, self._limits)
        self._changed(now)

    def reschedule(self, timeout_seconds: float) -> None:
        """Move the deadline to so many seconds from now; raises Problem `not-draining` or `over-grace`."""
        self.drain = drains.reschedule(self._steerable(), self._clock(), timeout_seconds, self._limits)
        self._changed()

    def call_off(self) -> None:
        """Go back to the state before the drain; raises Problem `not-draining` or `signalled`."""
        if self._steerable().signalled_at is not None:
            raise Problem("signalled", "cannot call the drain off: a signal ordered it, the platform will kill")
        self.drain = None
        self._changed()

    def begin_leaving(self) -> None:
        """Pass the point of no return."""
        self._leaving = True

    def end(self) -> None:
        """Be `stopped`."""
        self._left = True
        self._changed()

    def _steerable(self) -> Drain:
        if self.drain is None or self._leaving:
            raise Problem("not-draining", "no drain is under way" if self.drain is None else "the drain is over")
        return self.drain

    def _changed(self, now: float | None = None) -> None:
        if self.state != self._last:
            self._last, self.since = self.state, self._clock() if now is None else now
        self._on_change()
