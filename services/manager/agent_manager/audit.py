"""Who ordered what on which agent, and what came of it: a log line `audit`, an event and a count of each.

Calls of agents are not among it, for they are counted and a task says its caller: of them only those are noted that
were refused for their credentials. Refusals are bounded, for anybody who reaches the port can make them: ten lines a
minute from an address and 120 in all. The next line says how many were left out; the counter has every one.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Literal, get_args

import structlog
from msgspec import Struct

from agent_manager.access import NOBODY, Caller
from agent_manager.actions import Action
from agent_manager.journal import Journal
from agent_manager.networks import network_of

Outcome = Literal["ordered", "done", "refused", "failed"]
"""`ordered`: taken, and another line of the same `action_id` will tell its end."""
Deed = Literal[
    "pause",
    "resume",
    "stop",
    "restart",
    "start",
    "order",
    "move-drain",
    "call-drain-off",
    "cancel-task",
    "sign-in",
    "sign-out",
    "register",
    "report",
    "execute",
    "look",
]
"""`order` is an action whose request could not be read, `report` what adapters say after they registered."""
DEEDS: Final[tuple[Deed, ...]] = get_args(Deed)
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)

ORDERS: Final = frozenset(DEEDS) - {"register", "report", "execute", "look"}
"""Of these every outcome is noted; of the rest what was refused with one of the problems below."""
REFUSALS: Final = frozenset(
    ("unauthenticated", "forbidden", "forbidden-service-url", "registration-conflict", "too-many-attempts")
)
"""The problems that are noted whoever meets them, and wherever: credentials and registrations."""
MOST_OF_ONE: Final = 10
MOST_OF_ALL: Final = 120
WINDOW_SECONDS: Final = 60.0
_LONGEST_DETAIL: Final = 300
_EVENTS: Final = {"cancel-task": "task-cancel-ordered", "sign-in": "signed-in", "sign-out": "signed-out"}
"""What has no event of its own yet: actions and drains tell theirs with who ordered them."""

log = structlog.stdlib.get_logger(__name__)


class Subject(Struct, frozen=True, kw_only=True):
    """What was asked for, by whom and about what; None where that is not known or does not apply."""

    deed: Deed
    caller: Caller = NOBODY
    host: str = ""
    """The address that the request came from: a proxy's, where one is in front."""
    agent: str | None = None
    instance_id: str | None = None
    task_id: str | None = None
    action_id: str | None = None
    trace_id: str | None = None

    @property
    def by(self) -> str | None:
        """The name of the key or person, or the agent whose own token was shown."""
        if self.caller.name is None and self.caller.agent_id is not None:
            return f"agent/{self.caller.agent_id}"
        return self.caller.name

    def facts(self) -> dict[str, str]:
        """Give what a log line says of it."""
        known_by, role = self.caller.known_by, self.caller.role if self.caller.known_by in _HAVE_ROLES else None
        given = {
            "action": self.deed,
            "by": self.by,
            "role": role,
            "known_by": known_by,
            "from": self.host or None,
            "agent": self.agent,
            "instance_id": self.instance_id,
            "task_id": self.task_id,
            "action_id": self.action_id,
            "trace_id": self.trace_id,
        }
        return {name: value for name, value in given.items() if value is not None}


_HAVE_ROLES: Final = ("key", "session", "oidc")


class Audit:
    """Notes what people and adapters asked for. `count` gets each deed with its outcome."""

    def __init__(self, journal: Journal, count: Callable[[Deed, Outcome], None], clock: Callable[[], float]) -> None:
        self._journal = journal
        self._count = count
        self._refusals = Allowance(clock)

    def note(self, subject: Subject, outcome: Outcome, code: str | None = None, detail: str = "") -> None:
        """Note what came of something; `code` is the problem's where it was refused or failed."""
        self._count(subject.deed, outcome)
        facts: dict[str, Any] = {**subject.facts(), "outcome": outcome}
        if code is not None:
            facts.update(code=code, detail=detail[:_LONGEST_DETAIL])
        if outcome == "refused":
            left_out = self._refusals.take(network_of(subject.host))
            if left_out is None:
                return
            facts.update({"left_out": left_out} if left_out else {})
        (log.info if code is None else log.warning)("audit", **facts)
        self._tell(subject, outcome, code)

    def ended(self, action: Action) -> None:
        """Note the end of an action; the line of its order, of the same `action_id`, says more of who gave it."""
        subject = Subject(
            deed=action.verb,
            caller=Caller(action.by),
            agent=action.agent_id,
            instance_id=action.instance_id,
            action_id=action.action_id,
        )
        error = next((step.error for step in action.steps if step.error), None)
        facts = {name: value for name, value in subject.facts().items() if name != "known_by"}
        outcome: Outcome = "failed" if action.state == "failed" else "done"
        self._count(action.verb, outcome)
        code = {} if error is None else {"code": error.get("code"), "detail": str(error.get("detail"))}
        (log.info if outcome == "done" else log.warning)("audit", outcome=outcome, **facts, **code)

    def _tell(self, subject: Subject, outcome: Outcome, code: str | None) -> None:
        """Make an event of it; addresses stay in the log, for every viewer reads events."""
        agent, own = subject.agent or "", _EVENTS.get(subject.deed)
        if code is not None and code != "registration-conflict":  # that one has an event of its own
            message = f"{subject.deed} was {outcome}"
            self._journal.record(
                "verdict", agent, code, message, instance_id=subject.instance_id, by=subject.by, level="warning"
            )
        elif code is None and own is not None:
            message = own.replace("-", " ") + ("" if subject.task_id is None else f": {subject.task_id}")
            self._journal.record("agent" if agent else "verdict", agent, own, message, by=subject.by)


class Allowance:
    """How many lines there may be in this minute, by the source of each and in all."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends_at = float("-inf")
        self._taken: Counter[str] = Counter()
        self._left_out = 0

    def take(self, source: str) -> int | None:
        """Give how many were left out since the last line; None where this one is to be left out too."""
        now = self._clock()
        if now >= self._ends_at:
            self._ends_at = now + WINDOW_SECONDS
            self._taken.clear()
        if self._taken[source] >= MOST_OF_ONE or self._taken.total() >= MOST_OF_ALL:
            self._left_out += 1
            return None
        self._taken[source] += 1
        left_out, self._left_out = self._left_out, 0
        return left_out
