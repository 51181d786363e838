"""Gauges, read from the registry when somebody looks."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from agent_manager.registry import Registry


class Gauges(Collector):
    """What is true at this moment."""

    def __init__(self, registry: Registry, version: str) -> None:
        self._registry = registry
        self._version = version

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give the gauges of the manager itself; those of agents and instances are in `of_agents`."""
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
