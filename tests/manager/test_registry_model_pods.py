"""A state machine over the registry and its platform: whatever comes in whatever order, it equals a plain model."""

import json
from typing import Any

import pytest
from agent_contract.problems import Problem
from agent_contract.wire import DesiredState, State
from agent_manager.listing import Listing
from agent_manager.liveness import SWEEP_SECONDS
from agent_manager.platform import Pod
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.manager.pod_book import TTL, PodBook
from tests.manager.pod_stage import DENIED, OUT_OF_MEMORY, PodStage, make_pod, url_in
from tests.manager.stage import QuietJournal, agent_of

EXAMPLES, STEPS = 70, 70

agents = st.sampled_from(["a", "a", "b"])
uids = st.sampled_from([f"p{number}" for number in range(6)])
hosts = st.sampled_from(["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3"])
"""Few addresses: the next pod soon has the one of a dead one, and some use their node's."""
ports = st.sampled_from([8100, 8100, 8100, 8101])
ids = st.builds(lambda agent, number: f"{agent}{number}", agents, st.integers(0, 19))
states = st.sampled_from(["running", "running", "starting", "paused", "stopping"])
desires = st.sampled_from([None, None, "running", "paused", "stopped"])
facts = st.fixed_dictionaries(
    {},
    optional={
        "leaving": st.just(True),
        "restarts": st.integers(0, 2),
        "running": st.booleans(),
        "problem": st.just(OUT_OF_MEMORY),
        "namespace": st.just("test"),
    },
)


class PlatformMachine(RuleBasedStateMachine):
    """Two agents, a few pods at fewer addresses, two workloads, and processes that come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = PodStage(journal=QuietJournal())
        self.registry = self.stage.registry
        self.listing = Listing(self.registry)
        self.book = PodBook(self.stage)
        self.denied: set[str] = set()
        self.shown: dict[str, Any] = {}

    # --- what the platform tells --------------------------------------------------------------------------------------

    @rule(uid=uids, agent_id=agents, ip=st.none() | hosts, port=ports, facts=facts)
    def see_pod(self, uid: str, agent_id: str, ip: str | None, port: int, facts: dict[str, Any]) -> None:
        """Let a pod be told of."""
        known = self.book.pods.get(uid)
        leaving = facts.get("leaving", False) or (known is not None and known.leaving)
        pod = make_pod(uid, ip, port=port, agent_id=agent_id, **facts | {"leaving": leaving})
        self.book.see(pod)
        self.stage.pod(uid, ip, port=port, agent_id=agent_id, **facts)

    @rule(uid=uids)
    def lose_pod(self, uid: str) -> None:
        """Let a pod be gone."""
        self.book.gone(uid)
        self.stage.pod_gone(uid)

    @rule(kept=st.sets(uids), came=st.sets(uids))
    def relist(self, kept: set[str], came: set[str]) -> None:
        """Let a list replace what was known: first those that are there, then what is missing."""
        for uid in sorted(came - self.book.pods.keys()):
            self.see_pod(uid, "a", "10.0.0.2", 8100, {})
        for pod in [pod for uid, pod in self.book.pods.items() if uid in kept | came]:
            self._again(pod)
        for uid in [uid for uid in self.book.pods if uid not in kept | came]:
            self.lose_pod(uid)

    def _again(self, pod: Pod) -> None:
        """Let a pod be told of that is as it was: nothing changes."""
        revision = self.registry.revision
        port = 8100 if pod.origin is None else pod.origin.port
        names = ("leaving", "restarts", "running", "problem", "namespace", "phase", "agent_id")
        self.stage.pod(pod.uid, pod.ip, port=port, **{name: getattr(pod, name) for name in names})
        assert self.registry.revision == revision

    @rule(number=st.integers(0, 1), agent_id=agents, replicas=st.integers(0, 2), desired=desires, rolling=st.booleans())
    def see_workload(
        self, number: int, agent_id: str, replicas: int, desired: DesiredState | None, *, rolling: bool
    ) -> None:
        """Let a workload be told of; each belongs to one agent."""
        uid = f"{agent_id}w{number}"
        self.book.see_workload(
            self.stage.workload(uid, replicas, agent_id=agent_id, desired_state=desired, rolling=rolling)
        )

    @rule(number=st.integers(0, 1), agent_id=agents)
    def lose_workload(self, number: int, agent_id: str) -> None:
        """Let a workload be gone."""
        self.book.workloads.pop(f"{agent_id}w{number}", None)
        self.stage.workload_gone(f"{agent_id}w{number}")

    @rule(namespace=st.sampled_from(["prod", "test"]), refused=st.booleans())
    def deny(self, namespace: str, *, refused: bool) -> None:
        """Let the manager be refused, or let in."""
        (self.denied.add if refused else self.denied.discard)(namespace)
        self.stage.denied(DENIED if refused else None, namespace)

    @rule(uid=uids, instance_id=ids, state=states)
    def answer_in_pod(self, uid: str, instance_id: str, state: State) -> None:
        """Let a process answer at the address of a pod, whoever it is."""
        pod, known = self.book.pods.get(uid), instance_id in self.registry.instances
        ip, port = ("10.0.0.9", 8100) if pod is None or pod.origin is None else (pod.origin.host, pod.origin.port)
        self.stage.answers_in(uid, instance_id, ip, port=port, status=state)
        if not known and instance_id in self.registry.instances:
            assert self.stage.pod_of(instance_id) == uid
            self.book.appears(self.stage[instance_id])

    # --- what processes say -------------------------------------------------------------------------------------------

    @rule(instance_id=ids, host=hosts, port=ports, state=states, desired=desires)
    def register(self, instance_id: str, host: str, port: int, state: State, desired: DesiredState | None) -> None:
        """Let a process register."""
        known = instance_id in self.registry.instances
        if self.registry.is_stale(instance_id):
            with pytest.raises(Problem):
                self.stage.register(instance_id, url_in(host, port))
            return
        instance = self.stage.register(instance_id, url_in(host, port), status=state, desired=desired)
        self.book.told(agent_of(instance_id), desired)
        if not known:
            self.book.appears(instance)

    @rule(instance_id=ids, state=states)
    def beat(self, instance_id: str, state: State) -> None:
        """Let a process beat, if it is known."""
        instance = self.registry.instances.get(instance_id)
        if instance is not None and instance.beat_at is not None:
            self.stage.beat(instance_id, state)

    @rule(instance_id=ids)
    def unregister(self, instance_id: str) -> None:
        """Let a process leave."""
        if not self.registry.is_stale(instance_id):
            self.stage.unregister(instance_id)
            assert instance_id not in self.registry.instances

    @rule(instance_id=ids, refused=st.booleans())
    def probe(self, instance_id: str, *, refused: bool) -> None:
        """Let a probe fail, or another life answer it."""
        instance = self.registry.instances.get(instance_id)
        if instance is not None and refused:
            self.registry.probe_failed(instance, "refused", refused=True)
        elif instance is not None:
            self.registry.found_other_life(instance)

    # --- what is ordered, and time ------------------------------------------------------------------------------------

    @rule(agent_id=agents, state=st.sampled_from(["running", "paused", "stopped"]))
    def order(self, agent_id: str, state: DesiredState) -> None:
        """Let an operator order something."""
        if self.registry.find(agent_id) is not None:
            self.registry.set_desired_state(agent_id, state, by=None)
            self.book.desired[agent_id] = (state, True)

    @rule(ticks=st.sampled_from([1, 4, 20, 130]))
    def pass_time(self, ticks: int) -> None:
        """Let time pass."""
        for _ in range(ticks):
            self.stage.clock.now += SWEEP_SECONDS
            self.registry.sweep()
            self.book.forget()
        if not self.registry._roster.liveness.in_grace(self.stage.clock.now):
            silent = [one for one in self.registry.instances.values() if self.stage.clock.now - one.heard_at >= TTL]
            assert not any(one.routable for one in silent)

    # --- what holds ---------------------------------------------------------------------------------------------------

    @invariant()
    def pods_are_those_of_the_platform(self) -> None:
        """Each agent has its own, as they were last told of, and so has each process its pod."""
        known = {uid: pod for record in self.registry.agents.values() for uid, pod in record.pods.items()}
        assert known == self.book.pods
        assert all(self.registry.agents[pod.agent_id].pods[uid] is pod for uid, pod in known.items())
        for one in self.registry.instances.values():
            assert ("kubernetes" in one.sources) == (one.pod is not None)
            assert one.pod is None or (one.pod is known[one.pod.uid] and one.pod.agent_id == one.agent_id)
            assert (one.platform_state == "stopping") == (one.pod is not None and one.pod.leaving)

    @invariant()
    def each_process_is_in_its_pod(self) -> None:
        """Find at most one in each, and nobody is without one whose pod has none."""
        within = [one.pod.uid for one in self.registry.instances.values() if one.pod is not None]
        assert len(within) == len(set(within))
        bare = {uid for record in self.registry.agents.values() for uid in record.bare_pods}
        assert bare == self.book.pods.keys() - set(within)
        for one in self.registry.instances.values():
            assert one.pod is not None or not self.book.could_be_in(one)

    @invariant()
    def indexes_are_the_records(self) -> None:
        """Nothing is left of those that are gone."""
        fleet, instances = self.registry._fleet, self.registry.instances
        assert len(fleet.pods) == len(self.book.pods)
        assert sum(map(len, fleet._by_host.values())) == len(instances) == len(self.registry._roster.liveness)
        placed = sum(pod.ip is not None for pod in self.book.pods.values())
        assert sum(map(len, fleet.pods._by_host.values())) == placed
        assert fleet.workloads == self.book.workloads

    @invariant()
    def what_is_ordered_is_what_was_said_last(self) -> None:
        """By an operator here, or on a workload."""
        for agent_id, record in self.registry.agents.items():
            assert (record.desired_state, record.ordered) == self.book.wanted(agent_id)
            mine = [one for one in self.book.workloads.values() if one.agent_id == agent_id]
            assert record.desired_instances == (sum(one.replicas for one in mine) if mine else None)
            waits = record.desired_state == "paused" and any(one.rolling for one in mine)
            assert (record.rollout_waits is not None) == waits
            namespaces = {pod.namespace for pod in record.pods.values()} | {one.namespace for one in mine}
            assert (record.denied is not None) == bool(namespaces & self.denied)

    @invariant()
    def listing_is_the_records(self) -> None:
        """Every look shows what is known, and whoever watches was told of each change that a listing shows."""
        shown = {agent["id"]: agent for agent in json.loads(self.listing.whole())["agents"]}
        for agent_id, agent in shown.items():
            record = self.registry.agents[agent_id]
            assert [one["instanceId"] for one in agent["instances"]] == [*record.instances, *record.bare_pods]
            assert [one["state"] for one in agent["instances"]] == record.states
            assert [one.get("pod", {}).get("restarts") for one in agent["instances"]] == [
                None if pod is None else pod.restarts
                for pod in (*(one.pod for one in record.instances.values()), *record.bare_pods.values())
            ]
            for one in agent["instances"]:
                del one["lastSeen"]
        different = {key for key in shown.keys() | self.shown.keys() if shown.get(key) != self.shown.get(key)}
        assert different <= set(self.stage.changes)
        self.stage.changes.clear()
        self.shown = shown


PlatformMachine.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # add Phase.shrink to look into a failure: it takes minutes
)
TestPlatformModel = PlatformMachine.TestCase
