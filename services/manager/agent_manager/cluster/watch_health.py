"""How well the manager sees each namespace, for metrics, for `/ready`, and for those who read its log."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final, Literal, get_args

import structlog
from agent_contract.wire import ProblemState
from msgspec import Struct

from agent_manager.cluster.api import ApiFailed, ApiSilent, ApiUnreachable

Ending = Literal["closed", "expired", "inactive", "forbidden", "throttled", "unreachable", "error"]
"""Why a watch began again: it was closed in order, its version was too old, it fell silent, it was not allowed, the
API server wanted to be left alone, it did not answer, or it answered with another error."""
ENDINGS: Final[tuple[Ending, ...]] = get_args(Ending)
_OF_STATUS: Final[dict[int, Ending]] = {401: "forbidden", 403: "forbidden", 410: "expired", 429: "throttled"}
_USER: Final = re.compile(r'[Uu]ser "([^"]+)"')

log = structlog.stdlib.get_logger(__name__)


class Trouble(Struct, frozen=True):
    """What keeps a watch from being current, and since when that very thing does."""

    why: Ending
    since: datetime
    detail: str


class StaleNamespace(Struct, frozen=True):
    """A namespace that is not seen as it is now, since when, and what is wrong in a few words for anyone."""

    namespace: str
    since: datetime
    detail: str


class Watch:
    """The state of one watch: the objects of one kind in one namespace."""

    def __init__(self, health: "WatchHealth", namespace: str, plural: str) -> None:
        self.namespace = namespace
        self.plural = plural
        self.stale_since: datetime | None = health.wall()
        """When it was last current; None while it has a list and its watch is open, or was closed in order just now."""
        self.trouble: Trouble | None = None
        """None while it is current, or nothing has gone wrong yet."""
        self.denial: Trouble | None = None
        """The last refusal; None once it is watched (again)."""
        self._health = health
        self._logged: Ending | None = None
        self._logged_return = False

    def heard(self) -> None:
        """Note that the API server said something."""
        self._health.heard_at[self.namespace] = self._health.wall()

    def opened(self) -> None:
        """Note that it has a list and an open watch."""
        if self._logged is not None and not self._logged_return:
            log.info("watching again", namespace=self.namespace, resource=self.plural, after=self._logged)
            self._logged_return = True
        self.stale_since = self.trouble = self.denial = None
        self._health.changed(self.namespace)

    def proved_steady(self) -> None:
        """Note that it stood for a while: what ends it from now on is news, though it be the same as before."""
        self._logged = None

    def closed(self) -> None:
        """Note that it was closed in order and begins again within a moment: nothing is stale by that."""
        self._health.restarts[self.namespace, "closed"] += 1

    def ended(self, why: Ending, detail: str) -> None:
        """Note that it ended, or did not begin. A reason that stays is logged once, however often it is met."""
        self._health.restarts[self.namespace, why] += 1
        now = self._health.wall()
        if why != self._logged:
            say = log.info if why == "expired" else log.warning  # that one is mended at once, by a list
            say("watch ended", namespace=self.namespace, resource=self.plural, why=why, detail=detail)
            self._logged, self._logged_return = why, False
        since = now if self.trouble is None or self.trouble.why != why else self.trouble.since
        self.stale_since = self.stale_since or now
        self.trouble = Trouble(why, since, detail)
        if why == "forbidden":
            self.denial = self.trouble
        self._health.changed(self.namespace)


class WatchHealth:
    """Every watch, by namespace."""

    def __init__(self, namespaces: Iterable[str] = (), *, wall: Callable[[], datetime]) -> None:
        self.wall = wall
        self.namespaces = tuple(namespaces)
        self.heard_at: dict[str, datetime] = {}
        """When the API server last said something of a namespace, a bookmark included."""
        self.restarts: dict[tuple[str, Ending], int] = {
            (namespace, why): 0 for namespace in self.namespaces for why in ENDINGS
        }
        """How many times watches began again."""
        self.changed: Callable[[str], None] = lambda _: None
        """Called with a namespace of which a watch is better or worse than before."""
        self._watches: list[Watch] = []

    def watch(self, namespace: str, plural: str) -> Watch:
        """Add a watch; give its state."""
        watch = Watch(self, namespace, plural)
        self._watches.append(watch)
        return watch

    def is_up(self, namespace: str) -> bool:
        """Tell whether everything in a namespace is seen as it is now."""
        since = [watch.stale_since for watch in self._of(namespace)]
        return bool(since) and not any(since)

    def stale(self) -> list[StaleNamespace]:
        """Give the namespaces that are not seen as they are now."""
        found = []
        for namespace in self.namespaces:
            lacking = [watch for watch in self._of(namespace) if watch.stale_since is not None]
            if lacking:
                since = min(watch.stale_since for watch in lacking if watch.stale_since is not None)
                found.append(StaleNamespace(namespace, since, ", ".join(map(_lack, lacking))))
        return found

    def denial(self, namespace: str) -> ProblemState | None:
        """Give what the manager may not see in a namespace; None: nothing was refused, or it is watched again."""
        denials = [watch.denial for watch in self._of(namespace) if watch.denial is not None]
        if not denials:
            return None
        return ProblemState("rbac-denied", "; ".join(one.detail for one in denials), min(one.since for one in denials))

    def _of(self, namespace: str) -> Iterator[Watch]:
        return (watch for watch in self._watches if watch.namespace == namespace)


def ending_of(error: ApiFailed | ApiUnreachable) -> Ending:
    """Give why a watch ended, by what was raised."""
    if isinstance(error, ApiFailed):
        return _OF_STATUS.get(error.status, "error")
    return "inactive" if isinstance(error, ApiSilent) else "unreachable"


def explained(error: ApiFailed | ApiUnreachable, verb: str, resource: str, namespace: str) -> str:
    """Give an error for an operator; a refusal with the line that shows whether it would still be refused."""
    if ending_of(error) != "forbidden":
        return str(error)
    user = _USER.search(str(error))
    as_user = f" --as={user[1]}" if user else ""
    return (
        f"the manager may not {verb} {resource} in namespace {namespace} ({error}); "
        f"to check: kubectl auth can-i {verb} {resource} -n {namespace}{as_user}"
    )


def _lack(watch: Watch) -> str:
    """Give what is wrong in a word: who may read it is anyone, and the log has the rest."""
    return f"{watch.plural}: {'not listed yet' if watch.trouble is None else watch.trouble.why}"
