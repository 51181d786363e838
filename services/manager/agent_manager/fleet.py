"""The records and the ways to find them: by agent, by instance id, by address. It holds no rule."""

from collections.abc import Iterable, Iterator
from typing import Final

from agent_contract.config import Agent
from agent_contract.wire import DesiredState

from agent_manager.agent_client import Origin
from agent_manager.records import AgentRecord, Instance

_MOST_RETIRED: Final = 100_000
_MOST_ORDERS: Final = 10_000
"""Bounds of what is remembered of those that are gone, about 10 MB and 1 MB; the oldest is forgotten first."""


class Fleet:
    """Every agent and instance, and what is remembered of those that were there."""

    def __init__(self, agents: Iterable[Agent], now: float) -> None:
        self.agents: dict[str, AgentRecord] = {
            agent.id: AgentRecord(id=agent.id, configured=agent, unroutable_since=now) for agent in agents
        }
        self.instances: dict[str, Instance] = {}
        self._by_origin: dict[Origin, Instance] = {}
        self._retired: dict[str, None] = {}
        self._emptied_at: dict[str, float] = {}
        self._orders: dict[str, DesiredState] = {}

    def agent(self, agent_id: str, now: float) -> AgentRecord:
        """Give the agent's record; a new one has the order that was last given to an agent of this id."""
        record = self.agents.get(agent_id)
        if record is None:
            record = AgentRecord(id=agent_id, unroutable_since=now)
            order = self._orders.pop(agent_id, None)
            if order is not None:
                record.desired_state, record.ordered = order, True
            self.agents[agent_id] = record
        return record

    def add(self, instance: Instance) -> None:
        """Add an instance; its address must be free."""
        self.instances[instance.instance_id] = instance
        self._by_origin[instance.origin] = instance
        self.agents[instance.agent_id].instances[instance.instance_id] = instance
        self._emptied_at.pop(instance.agent_id, None)

    def remove(self, instance: Instance, now: float) -> None:
        """Take an instance away; its agent stays."""
        record = self.agents[instance.agent_id]
        del self.instances[instance.instance_id], record.instances[instance.instance_id]
        del self._by_origin[instance.origin]
        if not record.instances and record.configured is None:
            self._emptied_at[record.id] = now

    def move(self, instance: Instance, origin: Origin) -> None:
        """Give an instance another address, which must be free."""
        del self._by_origin[instance.origin]
        instance.origin = origin
        self._by_origin[origin] = instance

    def at(self, origin: Origin) -> Instance | None:
        """Give the instance at this address."""
        return self._by_origin.get(origin)

    def retire(self, instance_id: str) -> None:
        """Remember an id that was replaced: it does not come back."""
        self._retired[instance_id] = None
        while len(self._retired) > _MOST_RETIRED:
            del self._retired[next(iter(self._retired))]

    def is_retired(self, instance_id: str) -> bool:
        """Tell whether this id was replaced."""
        return instance_id in self._retired

    def forget_emptied(self, before: float) -> Iterator[AgentRecord]:
        """Forget the agents that only registration knew and whose last instance left before that; give each.

        What was ordered for one outlives it: an agent that was paused comes back paused, however long it was away.
        """
        while (first := next(iter(self._emptied_at), None)) is not None and self._emptied_at[first] <= before:
            del self._emptied_at[first]
            record = self.agents.pop(first)
            if record.ordered and record.desired_state == "paused":
                self._orders[first] = record.desired_state
                while len(self._orders) > _MOST_ORDERS:
                    del self._orders[next(iter(self._orders))]
            yield record
