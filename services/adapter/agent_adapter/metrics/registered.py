"""What agent code registered with prometheus-client, in the process that it runs in."""

import contextlib
from collections.abc import Iterator
from typing import Final

from agent_contract.adapter_families import ADAPTER_FAMILIES
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, REGISTRY, CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

END: Final = b"# EOF\n"
"""How a page of OpenMetrics ends."""

_SUFFIXES: Final = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
_OWN: Final = frozenset(
    name + suffix for name, facts in ADAPTER_FAMILIES.items() for suffix in ("", *_SUFFIXES[facts.kind])
)


def leave_out_defaults(registry: CollectorRegistry = REGISTRY) -> None:
    """Take the library's own collectors away, for no agent asked for them; a second time changes nothing."""
    for default in (GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR):
        with contextlib.suppress(KeyError):
            registry.unregister(default)


def registered(accept: str, registry: CollectorRegistry = REGISTRY) -> bytes:
    """Give it in the format asked for, without an end; raises whatever a collector of the agent's raises."""
    encoder, _ = choose_encoder(accept)
    return encoder(_OfAgent(registry)).removesuffix(END)


class _OfAgent(Collector):
    """The registry without the names that are the adapter's, and without the library's `_created`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            if family.name not in _OWN and _OWN.isdisjoint(sample.name for sample in family.samples):
                yield family
