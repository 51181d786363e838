"""What is read when somebody looks: who leads, and what each namespace's watch is like."""

from collections.abc import Callable, Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from agent_manager.cluster.watch_health import WatchHealth
from agent_manager.registry import Registry


class Gauges(Collector):
    """What is true at this moment."""

    def __init__(self, registry: Registry, watches: WatchHealth, leads: Callable[[], bool], version: str) -> None:
        self._registry = registry
        self._watches = watches
        self._leads = leads
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """Give the gauges of the manager itself; those of agents and instances are in `of_agents`."""
        lost = float(self._registry.lost > 0)
        yield GaugeMetricFamily("agent_manager_mass_loss_guard", "1 while many instances are lost at once.", value=lost)
        leads = float(self._leads())
        yield GaugeMetricFamily("agent_manager_leader", "1 where actions of several steps run.", value=leads)
        yield from self._of_watches()
        info = GaugeMetricFamily("agent_manager_info", "What runs here.", labels=["version"])
        info.add_metric([self._version], 1)
        yield info

    def _of_watches(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "agent_manager_watch_up", "1 while the namespace is seen as it is.", labels=["namespace"]
        )
        heard = GaugeMetricFamily(
            "agent_manager_watch_last_event_timestamp_seconds",
            "When the API server last said something of the namespace; 0: not yet.",
            labels=["namespace"],
        )
        restarts = CounterMetricFamily(
            "agent_manager_watch_restarts", "Times that a watch began again, by why.", labels=["namespace", "reason"]
        )
        for namespace in self._watches.namespaces:
            at = self._watches.heard_at.get(namespace)
            up.add_metric([namespace], float(self._watches.is_up(namespace)))
            heard.add_metric([namespace], 0.0 if at is None else at.timestamp())
        for (namespace, why), count in self._watches.restarts.items():
            restarts.add_metric([namespace, why], count)
        yield up
        yield heard
        yield restarts
