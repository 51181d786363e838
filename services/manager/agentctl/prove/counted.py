"""What a manager counted of each agent since it started: drains by how they ended, calls by how they were answered."""

from typing import Any, Final, Self

import msgspec

from agentctl.client import Manager
from agentctl.failures import CommandFailed, Exit
from agentctl.own_metrics import Sample, own_metrics
from agentctl.views import read

_CALLER_LEFT: Final = 499
_UNCLEAR: Final = frozenset({502, 504})
"""`outcome-unknown`, or the agent's own `upstream-failed` and `task-timeout`: the counter does not tell."""
_FIRST_FAILURE: Final = 400


class Counts(msgspec.Struct, rename="camel", kw_only=True):
    """One agent's numbers."""

    agent: str
    clean: int = 0
    cut: int = 0
    lost: int = 0
    """Drains, by how they ended."""
    tasks_cut: int = 0
    calls: int = 0
    succeeded: int = 0
    failed: int = 0
    """Answered with an error that says what became of the call."""
    unclear: int = 0
    """Answered 502 or 504."""

    @property
    def drains(self) -> int:
        """How many ended."""
        return self.clean + self.cut + self.lost

    @property
    def something_lost(self) -> bool:
        """Whether work was lost, or nobody can say that none was."""
        return bool(self.cut or self.lost or self.tasks_cut or self.unclear)

    def since(self, before: Self | None) -> "Counts":
        """Give what came since; raises ValueError where a counter has gone back."""
        numbers = {
            name: getattr(self, name) - (getattr(before, name) if before is not None else 0)
            for name in self.__struct_fields__
            if name != "agent"
        }
        if min(numbers.values()) < 0:
            raise ValueError(f"the counters of {self.agent} have gone back")
        return Counts(agent=self.agent, **numbers)


class Record(msgspec.Struct, rename="camel", kw_only=True):
    """What one manager counted; other managers of the cluster have records of their own."""

    started_at: str
    """When the manager started: the counters began at 0 then."""
    agents: list[Counts]

    def of(self, agent_id: str) -> Counts:
        """Give one agent's numbers."""
        return next((one for one in self.agents if one.agent == agent_id), Counts(agent=agent_id))

    def since(self, before: Self) -> "Record":
        """Give what came since an earlier record of the same manager.

        Raises:
            CommandFailed: it was another manager, or one that was restarted since.

        """
        if self.started_at != before.started_at:
            raise _not_comparable(f"this manager started at {self.started_at}, that one at {before.started_at}")
        try:
            return Record(started_at=self.started_at, agents=[one.since(before.of(one.agent)) for one in self.agents])
        except ValueError as error:
            raise _not_comparable(str(error)) from error


def _not_comparable(why: str) -> CommandFailed:
    return CommandFailed(f"cannot tell what came since: {why}", Exit.CONFLICT)


def read_counts(manager: Manager) -> Record:
    """Give what the manager counted so far; raises CommandFailed where it does not say."""
    version: dict[str, Any] = read(manager.get("/api/version"), dict)
    agents: dict[str, Counts] = {}
    for sample in own_metrics(manager):
        agent = sample.labels.get("agent")
        if agent:
            _add(agents.setdefault(agent, Counts(agent=agent)), sample)
    return Record(started_at=str(version.get("startedAt")), agents=sorted(agents.values(), key=lambda one: one.agent))


def _add(counts: Counts, sample: Sample) -> None:
    name, labels = sample.name, sample.labels
    if name == "drains_total" and labels.get("outcome") in {"clean", "cut", "lost"}:
        setattr(counts, labels["outcome"], int(sample.value))
    elif name == "drain_tasks_cut_total":
        counts.tasks_cut = int(sample.value)
    elif name == "forward_requests_total":
        _add_calls(counts, int(labels["code"]), int(sample.value))


def _add_calls(counts: Counts, code: int, number: int) -> None:
    counts.calls += number
    if code in _UNCLEAR:
        counts.unclear += number
    elif code < _FIRST_FAILURE:
        counts.succeeded += number
    elif code != _CALLER_LEFT:
        counts.failed += number
