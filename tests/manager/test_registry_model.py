"""A state machine over the registry: whatever is said in whatever order, what it promises holds after each step."""

import json
from datetime import datetime
from typing import Any

import pytest
from agent_contract.config import Agent
from agent_contract.problems import Problem
from agent_contract.wire import DesiredState, State
from agent_manager.discovery.events import Gone, Listed
from agent_manager.listing import Listing
from agent_manager.liveness import SWEEP_SECONDS
from agent_manager.records import Instance
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.manager.registry_book import Book
from tests.manager.stage import QuietJournal, Stage, agent_of, drain, report, status_of

EXAMPLES, STEPS = 110, 100
"""11,000 steps in all."""

PROCESSES = 24
ADDRESSES = 6

agents = st.sampled_from(["a", "b"])
ids = st.builds(lambda agent, number: f"{agent}{number}", agents, st.integers(0, PROCESSES - 1))
states = st.sampled_from(["running", "running", "running", "starting", "paused", "stopping"])


def url_of(instance_id: str) -> str:
    """Give the address of a process: each agent has a few, and its processes follow one another there."""
    agent, number = instance_id[0], int(instance_id[1:])
    return f"http://127.0.0.1:{(8100 if agent == 'a' else 8200) + number % ADDRESSES}"


moved = st.none() | st.none() | st.sampled_from(["http://127.0.0.1:8100", "http://127.0.0.1:8300"])
"""Where a process registers, mostly at its own address."""


class RegistryMachine(RuleBasedStateMachine):
    """Two agents, one of the file; some processes at a few addresses; time that jumps and stands still."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage([Agent(id="a", port=8100)], journal=QuietJournal())
        self.registry = self.stage.registry
        self.listing = Listing(self.registry)
        self.book = Book(self.stage)
        self.revision = 0
        self.shown: dict[str, Any] = {agent["id"]: agent for agent in json.loads(self.listing.whole())["agents"]}
        self.book.sweep()

    @property
    def now(self) -> float:
        """The time."""
        return self.stage.clock.now

    # --- what happens -------------------------------------------------------------------------------------------------

    @rule(instance_id=ids, elsewhere=moved, state=states, desired=st.sampled_from([None, "running", "paused"]))
    def register(
        self,
        instance_id: str,
        elsewhere: str | None = None,
        state: State = "running",
        desired: DesiredState | None = None,
    ) -> None:
        """Let a process register; the address was checked, so whoever else was there is replaced."""
        url = elsewhere or url_of(instance_id)
        if instance_id in self.book.retired:
            with pytest.raises(Problem):
                self.stage.register(instance_id, url, status=state, desired=desired)
            return
        self.book.heard(instance_id, url)
        self.stage.register(instance_id, url, status=state, desired=desired)
        self.book.says(instance_id, state, None)

    @rule(instance_id=ids, state=states, remaining=st.none() | st.integers(0, 60), running=st.integers(0, 2))
    def beat(self, instance_id: str, state: State, remaining: int | None, running: int) -> None:
        """Let a beat come, also from those that are unknown or replaced."""
        instance = self.registry.instances.get(instance_id)
        under_way = None if remaining is None or state != "stopping" else drain(remaining)
        if instance is None or "registration" not in instance.sources:
            with pytest.raises(Problem) as caught:
                self.stage.beat(instance_id, state)
            assert caught.value.code == ("stale-instance" if instance_id in self.book.retired else "unknown-instance")
            return
        self.book.heard(instance_id)
        self.stage.beat(instance_id, state, drain=under_way, running=running)
        self.book.says(instance_id, state, remaining if under_way is not None else None)

    @rule(instance_id=ids, cut=st.none() | st.integers(0, 1))
    def unregister(self, instance_id: str, cut: int | None) -> None:
        """Let a last word come."""
        if instance_id in self.book.retired:
            with pytest.raises(Problem):
                self.stage.unregister(instance_id)
        else:
            self.stage.unregister(instance_id, None if cut is None else report(cut))
            assert instance_id not in self.registry.instances

    @rule(agent_id=agents)
    def register_fleet(self, agent_id: str) -> None:
        """Let a process of each address that is free register: what is to be lost must be there."""
        taken = {one.service_url for one in self.registry.instances.values()}
        for number in range(PROCESSES):
            instance_id = f"{agent_id}{number}"
            if url_of(instance_id) not in taken and instance_id not in self.book.retired:
                self.register(instance_id)
                taken.add(url_of(instance_id))

    @rule(agent_id=agents)
    def beat_fleet(self, agent_id: str) -> None:
        """Let every process of an agent beat."""
        for instance_id in list(self.registry.instances):
            if agent_of(instance_id) == agent_id:
                self.beat(instance_id, self.registry.instances[instance_id].said_state, None, 0)

    @rule(instance_id=ids, turns=st.integers(1, 6), pause=st.integers(1, 30))
    def come_and_go(self, instance_id: str, turns: int, pause: int) -> None:
        """Let a process be reachable and not, in turns."""
        for _ in range(turns):
            self.fail_probe(instance_id, refused=True)
            self.pass_time(pause)
            self.answer_probe(instance_id, "running", 0.0)
            self.pass_time(1)

    @rule(instance_id=ids, state=states)
    def see(self, instance_id: str, state: State) -> None:
        """Let static discovery find a process."""
        if instance_id in self.book.retired:
            return
        self.book.heard(instance_id, None if instance_id in self.book.known else url_of(instance_id))
        self.stage.see(instance_id, url_of(instance_id), state)
        self.book.says(instance_id, state, None)

    @rule(agent_id=agents)
    def gone(self, agent_id: str) -> None:
        """Let static discovery find nobody."""
        registered = {one.instance_id for one in self.registry.instances.values() if "registration" in one.sources}
        self.registry.apply(Gone(source="static", agent_id=agent_id))
        assert registered <= self.registry.instances.keys()

    @rule(named=st.frozensets(ids, max_size=3))
    def listed(self, named: frozenset[str]) -> None:
        """Let static discovery list."""
        registered = {one.instance_id for one in self.registry.instances.values() if "registration" in one.sources}
        self.registry.apply(Listed(source="static", instance_ids=named))
        assert registered <= self.registry.instances.keys()

    @rule(instance_id=ids, state=states, asked=st.floats(0, 1))
    def answer_probe(self, instance_id: str, state: State, asked: float) -> None:
        """Let a probe be answered."""
        instance = self.registry.instances.get(instance_id)
        if instance is None:
            return
        self.book.heard(instance_id)
        counts = instance.beat_at is None or self.now - asked >= instance.beat_at
        self.registry.observe(instance, status_of(instance_id, state), self.now - asked)
        self.book.says(instance_id, state if counts else instance.said_state, None)

    @rule(instance_id=ids, refused=st.booleans())
    def fail_probe(self, instance_id: str, *, refused: bool) -> None:
        """Let a probe fail."""
        instance = self.registry.instances.get(instance_id)
        if instance is not None:
            self.book.known[instance_id].refused = refused
            self.registry.probe_failed(instance, "no answer", refused=refused)
            assert not (refused and instance.routable)

    @rule(instance_id=ids)
    def find_other_life(self, instance_id: str) -> None:
        """Another process answers a probe."""
        instance = self.registry.instances.get(instance_id)
        if instance is not None:
            self.registry.found_other_life(instance)
            assert instance_id in self.book.retired

    @rule(agent_id=agents, state=st.sampled_from(["running", "paused", "stopped"]))
    def order(self, agent_id: str, state: DesiredState) -> None:
        """Let an operator order something."""
        if self.registry.find(agent_id) is not None:
            self.registry.set_desired_state(agent_id, state, by=None)

    @rule(ticks=st.sampled_from([1, 1, 4, 4, 8, 20, 20, 100]))
    def pass_time(self, ticks: int) -> None:
        """Let time pass, with sweeps that come in time."""
        for _ in range(ticks):
            self.stage.clock.now += SWEEP_SECONDS
            self.book.sweep()

    @rule(seconds=st.sampled_from([3.0, 5.0, 40.0]))
    def stand_still(self, seconds: float) -> None:
        """Suspend the manager, or let the machine be busy."""
        self.stage.clock.now += seconds
        self.book.sweep()

    # --- what holds ---------------------------------------------------------------------------------------------------

    @invariant()
    def one_process_is_one_record(self) -> None:
        """Every index names the same instances, no address has two, no id that was replaced is there."""
        instances = self.registry.instances
        assert instances.keys() == self.book.known.keys()
        assert self.book.retired.isdisjoint(instances)
        by_agent = [one for record in self.registry.agents.values() for one in record.instances.values()]
        assert {id(one) for one in by_agent} == {id(one) for one in instances.values()}
        assert len(by_agent) == len(instances) == len({one.origin for one in by_agent})
        for one in by_agent:
            assert self.registry.occupant(one.origin) is one
            assert one.agent_id == agent_of(one.instance_id)
            assert one.sources
        assert len(self.registry._roster.liveness) == len(instances)
        assert self.registry.lost == sum("mass-loss" in one.observed for one in by_agent)

    @invariant()
    def routable_is_running_and_reachable(self) -> None:
        """Expect that calls go nowhere else, and that the time without such an instance is known."""
        for record in self.registry.agents.values():
            routable = [one for one in record.instances.values() if one.routable]
            assert all(one.reachable and one.state == "running" for one in routable)
            assert (record.unroutable_since is None) == bool(routable)
            picked = self.registry.pick(record.id)
            assert picked in routable if routable else picked is None

    @invariant()
    def time_never_goes_back(self) -> None:
        """Neither does the revision."""
        assert self.registry.revision >= self.revision
        self.revision = self.registry.revision
        for instance_id, known in self.book.known.items():
            instance = self.registry.instances[instance_id]
            assert instance.heard_at == known.heard_at <= self.now
            assert instance.answered_at <= self.now
        assert all((record.unroutable_since or 0) <= self.now for record in self.registry.agents.values())

    @invariant()
    def listing_is_the_records(self) -> None:
        """Every look shows what is known, and whoever watches was told of each change that a listing shows."""
        whole = json.loads(self.listing.whole())
        assert whole["revision"] == self.registry.revision
        shown = {agent["id"]: agent for agent in whole["agents"]}
        assert list(shown) == list(self.registry.agents)
        for agent_id, agent in shown.items():
            record = self.registry.agents[agent_id]
            assert (agent["state"], agent["desiredState"]) == (record.state, record.desired_state)
            assert [_seen(one) for one in agent["instances"]] == [_is(one) for one in record.instances.values()]
            for one in agent["instances"]:
                del one["lastSeen"]
        different = {key for key in shown.keys() | self.shown.keys() if shown.get(key) != self.shown.get(key)}
        assert different <= set(self.stage.changes)
        self.stage.changes.clear()
        self.shown = shown


def _seen(one: dict[str, Any]) -> tuple[Any, ...]:
    seen = datetime.fromisoformat(one["lastSeen"])
    return (one["instanceId"], one["serviceUrl"], one["state"], one["reachable"], one["source"], one["running"], seen)


def _is(one: Instance) -> tuple[Any, ...]:
    return (one.instance_id, one.service_url, one.state, one.reachable, one.source, one.running, one.last_seen)


RegistryMachine.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # add Phase.shrink to look into a failure: it takes minutes
)
TestRegistryModel = RegistryMachine.TestCase
