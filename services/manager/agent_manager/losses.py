"""What follows from silence: of one, of many at once, of one whose pod is there all the same."""

from typing import Final

from agent_manager.attachments import has_ended, has_rival
from agent_manager.journal import Journal
from agent_manager.records import Instance, Timing
from agent_manager.roster import Roster

_FAILURES: Final = 2
"""Probes in a row without an answer that end routing; one that is refused ends it at once."""
_NAMED: Final = 10
"""How many instances the message of a mass loss names."""


class Losses:
    """Takes instances away, or out of routing, by what this manager observes."""

    def __init__(self, roster: Roster, timing: Timing, journal: Journal) -> None:
        self._roster = roster
        self._timing = timing
        self._journal = journal

    def probe_failed(self, instance: Instance, detail: str, now: float, *, refused: bool) -> None:
        """Count a probe without an answer, of an instance that is known.

        One that was lost with many others is gone when its port refuses.
        """
        if refused and "mass-loss" in instance.observed and not self._roster.liveness.in_grace(now):
            self._roster.drop(instance, "mass-loss", now)
        elif refused or instance.failed_probes >= _FAILURES:
            self._cannot_reach(instance, detail, now)

    def sweep(self, now: float) -> list[Instance]:
        """Drop who was silent for too long; give those lost all at once, which are to be probed now."""
        silent = self._roster.liveness.sweep(now)
        for instance in silent.expired:
            self._roster.drop(instance, "expired", now)
        for instance in silent.given_up:
            self._roster.drop(instance, "mass-loss", now)
        for instance in silent.in_pods:
            self._silent_in_pod(instance, now)
        self._hold_lost(silent.lost, now)
        return silent.lost

    def _silent_in_pod(self, instance: Instance, now: float) -> None:
        """Call it no more: its pod is there, and decides. Unless another process has its place there."""
        if has_rival(self._roster.fleet, instance):
            self._roster.drop(instance, "expired", now)
        else:
            detail = f"not heard of for {self._timing.ttl_seconds:g} s, and its pod is there"
            self._cannot_reach(instance, detail, now)

    def _cannot_reach(self, instance: Instance, detail: str, now: float) -> None:
        if self._roster.mark(instance, "unreachable", detail):
            self._roster.note("verdict", instance, "unreachable", detail, level="warning")
            self._roster.lose(instance, now)
            if has_ended(instance):
                self._roster.drop(instance, "withdrawn", now)
                return
            self._roster.publish(self._roster.fleet.agents[instance.agent_id], now)

    def _hold_lost(self, lost: list[Instance], now: float) -> None:
        if not lost:
            return
        names = ", ".join(instance.instance_id for instance in lost[:_NAMED]) + (", ..." if len(lost) > _NAMED else "")
        message = f"{len(lost)} instances fell silent at once and are kept, not called, and probed: {names}"
        self._journal.record("verdict", "", "mass-loss", message, level="warning")
        for instance in lost:
            self._roster.mark(instance, "mass-loss", "it fell silent with many others at once")
            self._roster.publish(self._roster.fleet.agents[instance.agent_id], now)
