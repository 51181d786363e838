"""The page of `GET /metrics`: the adapter's own metrics, then what the agent's code registered with prometheus-client.

The latter is agent code: it may be slow, raise, or grow without end. It is collected in a thread, or in a process that
the agent has of its own, and left out where it does any of these, so that the adapter's own metrics are there whatever
the agent does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from agent_adapter.metrics.registered import END, leave_out_defaults, registered

MAX_AGENT_BYTES: Final = 960 * 1024
"""Of what the agent's code registered. With the adapter's own it is below the 1 MiB that a manager reads."""
COLLECT_SECONDS: Final = 0.8
"""What collecting it may take: a manager waits a second for the whole page."""

Source = Callable[[str], Awaitable[bytes]]
"""Gives what the agent's code registered, in the format that this `Accept` asks for, without an end."""

log = structlog.stdlib.get_logger(__name__)


class Page:
    """Renders the metrics in the format that the scraper asks for: Prometheus text, or OpenMetrics with exemplars."""

    def __init__(
        self, own: Collector, agents: CollectorRegistry = REGISTRY, *, collect_seconds: float = COLLECT_SECONDS
    ) -> None:
        self._own = own
        self._collect_seconds = collect_seconds
        self._collecting: asyncio.Future[bytes] | None = None
        self._trouble: str | None = None
        leave_out_defaults(agents)
        self.source: Source = lambda accept: asyncio.to_thread(registered, accept, agents)
        """Where the agent's code runs; this process, unless said otherwise."""

    async def render(self, accept: str) -> tuple[str, bytes]:
        """Give the content type and the page."""
        encoder, content_type = choose_encoder(accept)
        agents = await self._of_agent(accept)
        own = encoder(self._own)
        return content_type, own.removesuffix(END) + agents + END if own.endswith(END) else own + agents

    async def _of_agent(self, accept: str) -> bytes:
        """Give the agent's part of the page, nothing where that cannot be had in time."""
        try:
            async with asyncio.timeout(self._collect_seconds):
                part = await self._collected(accept)
        except TimeoutError:
            return self._without(f"it was not collected within {self._collect_seconds:g} s")
        except Exception as error:  # noqa: BLE001  # a collector of the agent's own may raise anything
            return self._without(f"collecting it raised {type(error).__name__}: {error}")
        if len(part) > MAX_AGENT_BYTES:
            return self._without(f"it has {len(part)} bytes, more than {MAX_AGENT_BYTES}")
        self._trouble = None
        return part

    async def _collected(self, accept: str) -> bytes:
        """Collect it when nobody else does: of a collector that hangs one call hangs, however often it is scraped."""
        while self._collecting is not None and not self._collecting.done():
            await asyncio.wait((self._collecting,))
        self._collecting = asyncio.ensure_future(self.source(accept))
        self._collecting.add_done_callback(_seen)  # what it raises when nobody waits any more is nobody's concern
        return await asyncio.shield(self._collecting)

    def _without(self, reason: str) -> bytes:
        """Say why the agent's part is left out, unless that was said at the last page."""
        if reason != self._trouble:
            self._trouble = reason
            log.warning("the agent's own metrics are left out", reason=reason)
        return b""


def _seen(collected: "asyncio.Future[bytes]") -> None:
    if not collected.cancelled():
        collected.exception()
