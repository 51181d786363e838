"""What happened to one agent's calls and instances, in plain numbers: the hot path adds to four of them."""

from typing import Final, get_args

from agent_contract.buckets import DurationCounts

from agent_manager.departures import Departure, Outcome

RETRY_REASONS: Final = ("connect-failed", "paused", "stopping", "starting", "at-capacity", "refused")
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


class AgentCounts:
    """Counts since the agent became known. `calls`, `tries` and `ends` tell whether there is anything new."""

    __slots__ = ("calls", "codes", "cut", "drain_durations", "drains", "durations", "ends", "retries", "tries")

    def __init__(self) -> None:
        self.calls = self.tries = self.ends = 0
        self.codes = {200: 0}
        """By status, 200 from the start: a counter born at 1 never shows an increase."""
        self.durations = DurationCounts()
        self.retries = dict.fromkeys(RETRY_REASONS, 0)
        self.drains = dict.fromkeys(OUTCOMES, 0)
        self.cut = 0
        self.drain_durations = DurationCounts()

    def answered(self, code: int, seconds: float, trace_id: str | None) -> None:
        """Count a call that was answered."""
        self.calls += 1
        self.codes[code] = self.codes.get(code, 0) + 1
        self.durations.observe(seconds, trace_id)

    def retried(self, reason: str) -> None:
        """Count a try after one that began no work; `refused` is a reason that is none of those known."""
        self.tries += 1
        self.retries[reason if reason in self.retries else "refused"] += 1

    def drained(self, departure: Departure) -> None:
        """Count the drain of an instance that left, where one was under way."""
        if departure.outcome is None:
            return
        self.ends += 1
        self.drains[departure.outcome] += 1
        if departure.drain is not None:
            self.cut += departure.drain.cut_tasks
            self.drain_durations.observe(departure.drain.duration_seconds)
