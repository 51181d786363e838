"""Who was silent for too long, and when silence says more of the manager than of the silent.

Pure state and hand-moved time. Instances are kept in the order of their last word, so that a beat and a sweep cost the
same whether ten are known or a hundred thousand.
"""

from typing import Final

from msgspec import Struct

from agent_manager.records import Instance, Timing

SWEEP_SECONDS: Final = 0.25
"""How often the sweep runs: a dead instance is gone within TTL + 1 s, other delays included."""
SAME_TIME_INTERVALS: Final = 1.2
"""Last words that lie this close belong together: one heartbeat interval, its jitter, and some delay."""
_MASS_LEAST: Final = 3
_MASS_SHARE: Final = 0.15
_MASS_KEPT_TTLS: Final = 5


class Silent(Struct, frozen=True):
    """What a sweep found."""

    expired: list[Instance]
    """Each alone: gone."""
    given_up: list[Instance]
    """Lost with many others, and silent for 5 TTL: gone."""
    lost: list[Instance]
    """Lost with many others just now: kept, and to be probed."""
    in_pods: list[Instance]
    """In pods that are there: kept, and not to be called."""


class Liveness:
    """The order of last words, the grace, and the mass-loss guard."""

    def __init__(self, timing: Timing, now: float) -> None:
        self._ttl = timing.ttl_seconds
        self._interval = timing.heartbeat_interval_seconds
        self._window = SAME_TIME_INTERVALS * timing.heartbeat_interval_seconds
        self._heard: dict[str, Instance] = {}
        self._stopping: dict[str, Instance] = {}
        self._lost: dict[str, Instance] = {}
        self._in_pods: dict[str, Instance] = {}
        self._silent_in_pods: dict[str, Instance] = {}
        self._sorts = (self._heard, self._stopping, self._lost, self._in_pods, self._silent_in_pods)
        """Each instance is in one of them. Those in pods are on neither side of a mass loss."""
        self._last_word = now
        self._swept_at: float | None = None
        self.grace_until = now + self._ttl
        """Before that nothing is purged: this manager was away, or has just come."""

    def __len__(self) -> int:
        return sum(map(len, self._sorts))

    @property
    def lost(self) -> int:
        """How many the mass-loss guard holds at present."""
        return len(self._lost)

    def hear(self, instance: Instance, now: float) -> None:
        """Note a word of this instance, its first one too.

        The first word after a time in which nobody of at least three said any shows that this manager was cut off.
        """
        if now - self._last_word > self._window and len(self) >= _MASS_LEAST:
            self.grace_until = now + self._ttl
        self._last_word = now
        instance.heard_at = now
        self.sort_in(instance)

    def sort_in(self, instance: Instance) -> None:
        """Put an instance where its state belongs, last in the order of words."""
        self.forget(instance)
        if instance.pod is not None:
            self._in_pods[instance.instance_id] = instance
        elif instance.state == "stopping":
            self._stopping[instance.instance_id] = instance
        else:
            self._heard[instance.instance_id] = instance

    def forget(self, instance: Instance) -> None:
        """Drop an instance that left."""
        for sort in self._sorts:
            if sort.pop(instance.instance_id, None) is not None:
                return

    def in_grace(self, now: float) -> bool:
        """Tell whether silence proves nothing at present."""
        return now < self.grace_until

    def sweep(self, now: float) -> Silent:
        """Give who was silent for too long, and forget those that are gone; each of those in pods is given once.

        A sweep that comes late by more than an interval shows that this manager was itself suspended.
        """
        if self._swept_at is not None and now - self._swept_at > SWEEP_SECONDS + self._interval:
            self.grace_until = now + self._ttl
        self._swept_at = now
        silent = Silent([], [], [], [])
        if self.in_grace(now):
            return silent
        silent.expired.extend(one for one in self._stopping.values() if self._is_over(one, now))
        silent.given_up.extend(one for one in self._lost.values() if now - one.heard_at >= _MASS_KEPT_TTLS * self._ttl)
        for instance in (*silent.expired, *silent.given_up):
            self.forget(instance)
        while (first := next(iter(self._heard.values()), None)) and now - first.heard_at >= self._ttl:
            self._judge(first, silent)
        while (first := next(iter(self._in_pods.values()), None)) and now - first.heard_at >= self._ttl:
            self._silent_in_pods[first.instance_id] = self._in_pods.pop(first.instance_id)
            silent.in_pods.append(first)
        return silent

    def _is_over(self, instance: Instance, now: float) -> bool:
        """Tell whether one that stops had its drain and a TTL, and was silent for as long."""
        return now >= (instance.kept_until or 0.0) and now - instance.heard_at >= self._ttl

    def _judge(self, first: Instance, silent: Silent) -> None:
        """Tell whether the one silent for longest fell silent alone or with many."""
        together = self._together(first)
        already = self._already_lost(first)
        count, fleet = len(together) + already, len(self._heard) + len(self._lost)
        if count >= _MASS_LEAST and count > _MASS_SHARE * fleet:
            for instance in together:
                del self._heard[instance.instance_id]
                self._lost[instance.instance_id] = instance
            silent.lost.extend(together)
        else:
            del self._heard[first.instance_id]
            silent.expired.append(first)

    def _together(self, first: Instance) -> list[Instance]:
        """Give those whose last word lies within the window after that of `first`, itself included."""
        together = []
        for instance in self._heard.values():  # in the order of last words
            if instance.heard_at > first.heard_at + self._window:
                break
            together.append(instance)
        return together

    def _already_lost(self, first: Instance) -> int:
        """Count those of an earlier loss whose last word lies within the window before that of `first`."""
        count = 0
        for instance in reversed(self._lost.values()):  # in the order of last words too: each loss came after the last
            if instance.heard_at < first.heard_at - self._window:
                break
            count += 1
        return count
