"""What this manager does by order, and whether it may: alone as it likes, in a cluster under the lease."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from msgspec import Struct

from agent_manager.actions.following import Follower
from agent_manager.actions.here import Here
from agent_manager.actions.in_kubernetes import InKubernetes
from agent_manager.actions.orders import Orders
from agent_manager.actions.plan import Platform
from agent_manager.cluster.api import ClusterApi
from agent_manager.cluster.autoscalers import Autoscalers
from agent_manager.cluster.elector import DEFAULTS, LeaseElector, LeaseTiming
from agent_manager.cluster.event_recorder import EventRecorder
from agent_manager.cluster.event_writer import EventWriter
from agent_manager.cluster.workload_orders import WorkloadOrders
from agent_manager.journal import Journal
from agent_manager.leadership import Alone, Leadership, no_leader
from agent_manager.records import AgentRecord
from agent_manager.registry import Registry

Clock = Callable[[], float]
Wall = Callable[[], datetime]
Work = Coroutine[Any, Any, None]


class Member(Struct, frozen=True, kw_only=True):
    """One manager of several in a cluster."""

    api: ClusterApi
    identity: str
    """Of this very process."""
    address: str | None
    """Where the others reach it; None: they cannot pass anything on to it."""
    timing: LeaseTiming = DEFAULTS


class Acting:
    """Who carries orders out, for each agent. `work` is what runs for as long as the manager does."""

    def __init__(self, registry: Registry, orders: Orders) -> None:
        self.leadership: Leadership = Alone()
        self._here = Here(registry, orders, self.leadership)

    def platform_of(self, record: AgentRecord) -> Platform:
        """Give what runs the processes of this agent."""
        del record
        return self._here

    def work(self, leaving: asyncio.Event) -> list[Work]:
        """Give what is to run until the manager leaves."""
        del leaving
        return []


class ActingInCluster:
    """The same where agents may have workloads, and where other managers may act."""

    def __init__(
        self, registry: Registry, orders: Orders, journal: Journal, member: Member, *, clock: Clock, wall: Wall
    ) -> None:
        self.leadership = self._elector = LeaseElector(
            member.api,
            identity=member.identity,
            address=member.address,
            clock=clock,
            wall=wall,
            timing=member.timing,
        )
        self._here = Here(registry, orders, self._elector)
        self._in_kubernetes = InKubernetes(
            self._here,
            orders,
            Follower(registry, orders, clock=clock),
            WorkloadOrders(member.api, self._check),
            Autoscalers(member.api, self._check),
            wall,
        )
        self._writer = EventWriter(member.api, identity=member.identity, wall=wall)
        recorder = EventRecorder(registry, self._writer, lambda: self._elector.is_leader)
        journal.subscribers.append(recorder.journaled)
        registry.departed.append(recorder.departed)

    def platform_of(self, record: AgentRecord) -> Platform:
        """Give what runs the processes of this agent: Kubernetes those that have a workload."""
        return self._in_kubernetes if record.workloads else self._here

    def work(self, leaving: asyncio.Event) -> list[Work]:
        """Give what is to run until the manager leaves."""
        return [self._elector.run(leaving), self._writer.run()]

    def _check(self) -> None:
        """Raise Problem 503 `no-leader` where this manager may not act, any more."""
        if not self._elector.is_leader:
            raise no_leader(self._elector)
