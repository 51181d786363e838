"""The manager's own families that have series for each agent: what its calls and drains came to, and how it is now.

Their lines are made when a page is asked for, and only of those agents of which there is something new to say.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, get_args

from agent_contract.wire import DesiredState, State

from agent_manager.metrics.counts import OUTCOMES, RETRY_REASONS, AgentCounts
from agent_manager.metrics.families import Family, Kind, Lines, escaped
from agent_manager.metrics.grace import Grace
from agent_manager.metrics.rendering import histogram, histogram_lines, lines, series
from agent_manager.records import AgentRecord

PREFIX: Final = "agent_manager_"
STATES: Final = get_args(State)
DESIRED: Final = get_args(DesiredState)
FAMILIES: Final[dict[str, tuple[Kind, str]]] = {
    "instances": ("gauge", "Instances, by what they say."),
    "instance_up": ("gauge", "1 while the manager could talk to it lately."),
    "held_requests": ("gauge", "Calls that wait for an instance."),
    "desired_state": ("gauge", "1 for what was last ordered."),
    "grace_cut_ratio": ("gauge", "Share of the last week's tasks that the drain timeout would have cut."),
    "grace_tasks": ("gauge", "Tasks of the last week that this share is of."),
    "grace_needed_seconds": ("gauge", "A drain timeout that would have cut none of them."),
    "forward_requests": ("counter", "Calls answered, by status."),
    "forward_retries": ("counter", "Tries after one that began no work."),
    "forward_duration_seconds": ("histogram", "How long calls took."),
    "drains": ("counter", "Drains that ended, by what became of the work."),
    "drain_tasks_cut": ("counter", "Tasks that a drain's deadline cut."),
    "drain_duration_seconds": ("histogram", "How long drains took."),
}

Said = Iterator[tuple[str, Lines]]
"""Lines, by family."""


class _Shown:
    """What the page says of one agent, and the templates that it is said with."""

    def __init__(self, agent_id: str) -> None:
        self.own = own = f'agent="{escaped(agent_id)}"'
        self.said: dict[str, object] = {}
        self.instances = series("agent_manager_instances", _each(own, "state", STATES))
        self.desired = series("agent_manager_desired_state", _each(own, "state", DESIRED))
        self.codes = 0
        self.requests = b""
        self.retries = series("agent_manager_forward_retries_total", _each(own, "reason", RETRY_REASONS))
        self.drains = series("agent_manager_drains_total", _each(own, "outcome", OUTCOMES))
        self.durations = histogram("agent_manager_forward_duration_seconds", own)
        self.drain_durations = histogram("agent_manager_drain_duration_seconds", own)

    def is_new(self, what: str, facts: object) -> bool:
        """Tell whether these facts are others than those said last, and note that they are said now."""
        if self.said.get(what) == facts:
            return False
        self.said[what] = facts
        return True

    def one(self, name: str, number: float) -> tuple[str, Lines]:
        """Give the only line of a family."""
        return name, lines(series(PREFIX + name, [self.own]), number)


class OfAgents:
    """Keeps these families."""

    def __init__(self) -> None:
        self._families = {name: Family(PREFIX + name, kind, text) for name, (kind, text) in FAMILIES.items()}
        self._shown: dict[str, _Shown] = {}

    def families(self) -> Iterator[Family]:
        """Give the families."""
        return iter(self._families.values())

    def forget_others(self, known: Callable[[str], bool]) -> None:
        """Let those agents go that are not known any more."""
        for agent_id in [one for one in self._shown if not known(one)]:
            del self._shown[agent_id]
            for family in self._families.values():
                family.drop(agent_id)

    def show_calls(self, agent_id: str, counts: AgentCounts) -> None:
        """Say what an agent's calls came to, if there were some since; also those of an unknown one."""
        shown = self._of(agent_id)
        if shown.is_new("calls", counts.calls):
            self._put(agent_id, _calls(shown, counts))

    def show(self, record: AgentRecord, counts: AgentCounts, held: int, grace: Grace) -> None:
        """Say what is new of an agent."""
        self.show_calls(record.id, counts)
        shown = self._shown[record.id]
        instances = [(one.instance_id, one.state, one.reachable) for one in record.instances.values()]
        if shown.is_new("instances", instances):
            self._put(record.id, _instances(shown, instances))
        if shown.is_new("state", (record.desired_state, held, grace)):
            self._put(record.id, _state(shown, record.desired_state, held, grace))
        if shown.is_new("tries", counts.tries):
            self._put(record.id, [("forward_retries", lines(shown.retries, *counts.retries.values()))])
        if shown.is_new("ends", counts.ends):
            self._put(record.id, _drains(shown, counts))

    def _of(self, agent_id: str) -> _Shown:
        shown = self._shown.get(agent_id)
        if shown is None:
            shown = self._shown[agent_id] = _Shown(agent_id)
        return shown

    def _put(self, agent_id: str, said: Iterable[tuple[str, Lines]]) -> None:
        for name, its_lines in said:
            self._families[name].put(agent_id, its_lines)


def _calls(shown: _Shown, counts: AgentCounts) -> Said:
    if len(counts.codes) != shown.codes:  # a code never goes
        shown.codes = len(counts.codes)
        shown.requests = series(
            "agent_manager_forward_requests_total", _each(shown.own, "code", map(str, counts.codes))
        )
    yield "forward_requests", lines(shown.requests, *counts.codes.values())
    yield "forward_duration_seconds", histogram_lines(shown.durations, counts.durations)


def _instances(shown: _Shown, instances: list[tuple[str, State, bool]]) -> Said:
    states = [state for _, state, _ in instances]
    yield "instances", lines(shown.instances, *(states.count(state) for state in STATES))
    ids = [escaped(instance_id) for instance_id, _, _ in instances]
    template = series("agent_manager_instance_up", _each(shown.own, "instance_id", ids))
    yield "instance_up", lines(template, *(reachable for _, _, reachable in instances))


def _state(shown: _Shown, desired: DesiredState, held: int, grace: Grace) -> Said:
    yield shown.one("held_requests", held)
    yield "desired_state", lines(shown.desired, *(state == desired for state in DESIRED))
    yield shown.one("grace_cut_ratio", grace.cut_ratio)
    yield shown.one("grace_tasks", grace.tasks)
    yield shown.one("grace_needed_seconds", grace.needed_seconds)


def _drains(shown: _Shown, counts: AgentCounts) -> Said:
    yield "drains", lines(shown.drains, *counts.drains.values())
    yield "drain_tasks_cut", lines(series("agent_manager_drain_tasks_cut_total", [shown.own]), counts.cut)
    yield "drain_duration_seconds", histogram_lines(shown.drain_durations, counts.drain_durations)


def _each(own: str, label: str, values: Iterable[str]) -> list[str]:
    """Give an agent's label with each of these values of another."""
    return [f'{own},{label}="{value}"' for value in values]
