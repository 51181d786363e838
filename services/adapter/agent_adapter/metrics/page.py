"""The page of `GET /metrics`: the adapter's own metrics, then what the agent's code registered with prometheus-client.

The latter is agent code: it may be slow, raise, or grow without end. It is collected in a thread, and left out where it
does any of these, so that the adapter's own metrics are there whatever the agent does.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Final

import structlog
from agent_contract.adapter_families import ADAPTER_FAMILIES
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, REGISTRY, CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

MAX_AGENT_BYTES: Final = 960 * 1024
"""Of what the agent's code registered. With the adapter's own it is below the 1 MiB that a manager reads."""
COLLECT_SECONDS: Final = 1.0
"""What collecting it may take: a manager waits as long for the whole page."""

_SUFFIXES: Final = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
_OWN: Final = frozenset(
    name + suffix for name, facts in ADAPTER_FAMILIES.items() for suffix in ("", *_SUFFIXES[facts.kind])
)
_END: Final = b"# EOF\n"

Encoder = Callable[[Collector], bytes]

log = structlog.stdlib.get_logger(__name__)


class Page:
    """Renders the metrics in the format that the scraper asks for: Prometheus text, or OpenMetrics with exemplars."""

    def __init__(
        self, own: Collector, agents: CollectorRegistry = REGISTRY, *, collect_seconds: float = COLLECT_SECONDS
    ) -> None:
        self._own = own
        self._collect_seconds = collect_seconds
        self._agents = _OfAgent(agents)
        self._collecting: asyncio.Future[bytes] | None = None
        self._trouble: str | None = None
        for default in (GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR):  # the library's, no agent asked for them
            with contextlib.suppress(KeyError):  # the page of another adapter in this process did it
                agents.unregister(default)

    async def render(self, accept: str) -> tuple[str, bytes]:
        """Give the content type and the page."""
        encoder, content_type = choose_encoder(accept)
        agents = await self._of_agent(encoder)
        own = encoder(self._own)
        return content_type, own.removesuffix(_END) + agents if own.endswith(_END) else own + agents

    async def _of_agent(self, encoder: Encoder) -> bytes:
        """Give the agent's part of the page, or its end where that cannot be had in time."""
        end = _END if encoder(_Nothing()) else b""
        if self._collecting is not None and not self._collecting.done():
            self._complain("it was not collected before the next scrape came")
            return end
        self._collecting = asyncio.ensure_future(asyncio.to_thread(encoder, self._agents))
        done, _ = await asyncio.wait((self._collecting,), timeout=self._collect_seconds)
        if not done:
            self._complain(f"it was not collected within {self._collect_seconds:g} s")
            return end
        try:
            part = self._collecting.result()
        except Exception as error:  # noqa: BLE001  # a collector of the agent's own may raise anything
            self._complain(f"collecting it raised {type(error).__name__}: {error}")
            return end
        if len(part) > MAX_AGENT_BYTES:
            self._complain(f"it has {len(part)} bytes, more than {MAX_AGENT_BYTES}")
            return end
        self._trouble = None
        return part

    def _complain(self, reason: str) -> None:
        if reason != self._trouble:
            self._trouble = reason
            log.warning("the agent's own metrics are left out", reason=reason)


class _OfAgent(Collector):
    """What the agent registered, without the names that are the adapter's, and without the library's `_created`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            if family.name not in _OWN and _OWN.isdisjoint(sample.name for sample in family.samples):
                yield family


class _Nothing(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from ()
