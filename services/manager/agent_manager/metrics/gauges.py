"""Gauges, read from the registry when somebody looks."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, get_args

from agent_contract.wire import DesiredState, State
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from agent_manager.registry import Registry

STATES: Final = get_args(State)
DESIRED: Final = get_args(DesiredState)


class Gauges(Collector):
    """What is true at this moment."""

    def __init__(
        self, registry: Registry, held: Mapping[str, int], cut_ratio: Callable[[str], float], version: str
    ) -> None:
        self._registry = registry
        self._held = held
        self._cut_ratio = cut_ratio
        self._version = version

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give every gauge of the manager."""
        yield from self._of_instances()
        yield from self._of_agents()
        lost = float(self._registry.lost > 0)
        yield GaugeMetricFamily("agent_manager_mass_loss_guard", "1 while many instances are lost at once.", value=lost)
        yield GaugeMetricFamily("agent_manager_leader", "1 where actions of several steps run.", value=1)
        yield GaugeMetricFamily("agent_manager_watch_up", "1 while the watch stands.", labels=["namespace"])
        yield GaugeMetricFamily(
            "agent_manager_watch_last_event_timestamp_seconds",
            "When the watch last brought something.",
            None,
            ["namespace"],
        )
        info = GaugeMetricFamily("agent_manager_info", "What runs here.", labels=["version"])
        info.add_metric([self._version], 1)
        yield info

    def _of_instances(self) -> Iterator[GaugeMetricFamily]:
        counts = GaugeMetricFamily("agent_manager_instances", "Instances, by what they say.", None, ["agent", "state"])
        up = GaugeMetricFamily(
            "agent_manager_instance_up", "1 while the manager could talk to it lately.", None, ["agent", "instance_id"]
        )
        for agent_id, record in self._registry.agents.items():
            states = [instance.state for instance in record.instances.values()]
            for state in STATES:
                counts.add_metric([agent_id, state], states.count(state))
            for instance in record.instances.values():
                up.add_metric([agent_id, instance.instance_id], float(instance.reachable))
        yield counts
        yield up

    def _of_agents(self) -> Iterator[GaugeMetricFamily]:
        held = GaugeMetricFamily("agent_manager_held_requests", "Calls that wait for an instance.", None, ["agent"])
        desired = GaugeMetricFamily(
            "agent_manager_desired_state", "1 for what was last ordered.", None, ["agent", "state"]
        )
        ratio = GaugeMetricFamily(
            "agent_manager_grace_cut_ratio", "Share of this agent's drains that lost work.", None, ["agent"]
        )
        for agent_id, record in self._registry.agents.items():
            held.add_metric([agent_id], self._held.get(agent_id, 0))
            ratio.add_metric([agent_id], self._cut_ratio(agent_id))
            for state in DESIRED:
                desired.add_metric([agent_id, state], float(state == record.desired_state))
        yield held
        yield desired
        yield ratio
