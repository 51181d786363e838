"""The drain: who ordered it, until when it may last, how it may be changed, and how orders that meet combine.

The last word is to leave: a stop or a signal during a restart makes it a stop. A signal's deadline is bounded by what
the platform grants before it kills.
"""

from dataclasses import dataclass, replace
from typing import Final

from agent_contract.problems import Problem
from agent_contract.wire import DrainReason

LEAVING_SECONDS: Final = 3.0
"""What a deadline leaves of the platform's grace for cutting tasks, handing over and unregistering."""


@dataclass(frozen=True, slots=True)
class DrainLimits:
    """What bounds a drain: the default timeout, the quiet period after a signal, the platform's grace, in seconds."""

    timeout_seconds: float
    quiet_seconds: float = 0.0
    grace_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Drain:
    """One drain, in the seconds of a monotonic clock. `signalled_at` is None as long as no signal came."""

    reason: DrainReason
    since: float
    deadline: float
    quiet_until: float
    signalled_at: float | None = None

    @property
    def restarts(self) -> bool:
        """Tell whether a new process takes this one's place."""
        return self.reason == "restart"


def begin(reason: DrainReason, now: float, timeout_seconds: float | None, limits: DrainLimits) -> Drain:
    """Give the drain that an order starts when none is under way."""
    lasting = limits.timeout_seconds if timeout_seconds is None else timeout_seconds
    if reason != "signal":
        return Drain(reason, now, now + lasting, quiet_until=now)
    deadline = _within_grace(now + lasting, now, limits)
    quiet_until = min(now + limits.quiet_seconds, deadline)
    return Drain(reason, now, deadline, quiet_until=quiet_until, signalled_at=now)


def meet(drain: Drain, reason: DrainReason, now: float, timeout_seconds: float | None, limits: DrainLimits) -> Drain:
    """Give the drain after one more order to leave."""
    if reason == "signal":
        if drain.signalled_at is not None:
            return drain  # the kubelet may repeat its sequence; the second one changes nothing
        deadline = min(drain.deadline, _within_grace(now + limits.timeout_seconds, now, limits))
        return _moved(replace(drain, reason="signal", signalled_at=now), deadline)
    if reason == "stop" and drain.restarts:
        drain = replace(drain, reason="stop")
    if timeout_seconds is None:
        return drain
    return _moved(drain, _within_grace(now + timeout_seconds, drain.signalled_at, limits))


def reschedule(drain: Drain, now: float, timeout_seconds: float, limits: DrainLimits) -> Drain:
    """Give the drain with its deadline `timeout_seconds` from now, sooner or later than before.

    Raises:
        Problem: 409 `over-grace` with `maxTimeoutSeconds`, where the platform would kill first.

    """
    deadline = now + timeout_seconds
    allowed = _within_grace(deadline, drain.signalled_at, limits)
    if allowed < deadline:
        most = max(0.0, round(allowed - now, 3))
        detail = f"cannot extend to {timeout_seconds:g} s: the platform kills in {most + LEAVING_SECONDS:g} s"
        raise Problem("over-grace", detail, maxTimeoutSeconds=most, field="timeoutSeconds")
    return _moved(drain, deadline)


def _moved(drain: Drain, deadline: float) -> Drain:
    """Give the drain with another deadline; the quiet period never outlasts it."""
    return replace(drain, deadline=deadline, quiet_until=min(drain.quiet_until, deadline))


def _within_grace(deadline: float, signalled_at: float | None, limits: DrainLimits) -> float:
    if signalled_at is None or limits.grace_seconds is None:
        return deadline
    return min(deadline, signalled_at + max(0.0, limits.grace_seconds - LEAVING_SECONDS))
