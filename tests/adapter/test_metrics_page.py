"""The metrics page beside the adapter's own families: formats, exemplars, and what the agent's code registered."""

import asyncio
import threading
from collections.abc import Iterable, Iterator

import pytest
import structlog
from agent_adapter.metrics.page import MAX_AGENT_BYTES, Page
from agent_contract.adapter_families import ADAPTER_FAMILIES
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text
from prometheus_client.registry import Collector

from tests.adapter.conftest import StartAdapter

OPEN = "application/openmetrics-text;version=1.0.0"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01"
LEFT_OUT = "the agent's own metrics are left out"


class Own(Collector):
    """Stands for the adapter's own families."""

    def collect(self) -> Iterator[Metric]:
        """Give one."""
        yield GaugeMetricFamily("agent_task_running", "Tasks that run.", value=1)


class Agents(Collector):
    """A collector of an agent that does as a test says."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.error: Exception | None = None
        self.lines = 1
        self.asked = 0
        self.may_end = threading.Event()
        self.may_end.set()
        registry.register(self)

    def describe(self) -> list[Metric]:
        """Say nothing, so that nothing is collected at registration."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Give one family, or raise."""
        self.asked += 1
        assert self.may_end.wait(10)
        if self.error is not None:
            raise self.error
        family = GaugeMetricFamily("documents", "Documents.", labels=["name"])
        for number in range(self.lines):
            family.add_metric([f"a document with a name of some length {number}"], number)
        yield family


@pytest.fixture
def registry() -> CollectorRegistry:
    """Give the registry of an agent's code."""
    return CollectorRegistry()


@pytest.fixture
def agents(registry: CollectorRegistry) -> Agents:
    """Give a collector in it."""
    return Agents(registry)


def open_metrics(page: str) -> Iterable[Metric]:
    """Give the families of a page in OpenMetrics, read strictly."""
    families: Iterable[Metric] = read_open_metrics(page)  # type: ignore[no-untyped-call]  # the library's
    return families


def names(page: bytes) -> set[str]:
    """Give the families of a page in Prometheus text."""
    return {family.name for family in plain_text(page.decode())}


async def test_the_page_is_in_the_format_that_is_asked_for(start: StartAdapter) -> None:
    """OpenMetrics is read strictly here; both have the same families, in the order of the promise."""
    adapter = await start()
    await adapter.execute()
    plain = await adapter.client.get("/metrics", headers={"accept": "text/plain"})
    rich = await adapter.client.get("/metrics", headers={"accept": OPEN})
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert rich.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    for families in (plain_text(plain.text), open_metrics(rich.text)):
        assert [family.name for family in families] == list(ADAPTER_FAMILIES)


@pytest.mark.parametrize(
    ("traceparent", "kept"),
    [(SAMPLED, [{"trace_id": TRACE}]), (SAMPLED.removesuffix("1") + "0", []), ('00-"}-x', []), (None, [])],
)
async def test_a_sampled_trace_is_the_exemplar_of_its_bucket(
    start: StartAdapter, traceparent: str | None, kept: list[dict[str, str]]
) -> None:
    """From a panel's slow bucket to the trace; a trace that nobody kept, or that is none, leads nowhere."""
    adapter = await start()
    await adapter.execute(**({} if traceparent is None else {"traceparent": traceparent}))
    page = (await adapter.client.get("/metrics", headers={"accept": OPEN})).text
    families = {family.name: family for family in open_metrics(page)}
    for name in ("agent_task_duration_seconds", "agent_task_queue_duration_seconds"):
        exemplars = [one.exemplar for one in families[name].samples if one.exemplar]
        assert [one.labels for one in exemplars] == kept
        assert all(one.value <= float(families[name].samples[0].labels["le"]) for one in exemplars)
    assert TRACE not in (await adapter.client.get("/metrics")).text


async def test_what_the_agent_registered_is_on_the_page(start: StartAdapter) -> None:
    """With prometheus-client's usual registry; what that library brings by itself is not."""
    adapter = await start()
    asked = Counter("documents_read", "Documents that were read.", ["kind"])
    try:
        asked.labels("pdf").inc(3)
        page = (await adapter.client.get("/metrics")).text
    finally:
        REGISTRY.unregister(asked)
    assert 'documents_read_total{kind="pdf"} 3.0\n' in page
    assert {family.name for family in plain_text(page)} == {*ADAPTER_FAMILIES, "documents_read"}


async def test_the_adapters_names_are_its_own(registry: CollectorRegistry) -> None:
    """An agent cannot say how many tasks run, by whatever name a series of it has."""
    for name in ("agent_task_running", "agent_tasks_total", "agent_task_duration_seconds_count", "agent_task_kept"):
        Gauge(name, "Another.", registry=registry).set(99)
    Counter("agent_refusals", "Another.", registry=registry)
    for accept in ("", OPEN):
        page = (await Page(Own(), registry).render(accept))[1]
        assert b"agent_task_running 1.0\n" in page
        assert page.count(b"# TYPE") == 2
        assert b"agent_task_kept 99.0\n" in page


async def test_a_collector_that_raises_costs_its_own_metrics_alone(registry: CollectorRegistry, agents: Agents) -> None:
    """It is said once, and the page is whole; in OpenMetrics it has its end."""
    agents.error = ValueError("no connection")
    page = Page(Own(), registry)
    with structlog.testing.capture_logs() as logs:
        assert names((await page.render(""))[1]) == {"agent_task_running"}
        assert (await page.render(OPEN))[1].endswith(b"agent_task_running 1.0\n# EOF\n")
    assert [(line["event"], line["reason"]) for line in logs] == [
        (LEFT_OUT, "collecting it raised ValueError: no connection")
    ]
    agents.error = None
    assert names((await page.render(""))[1]) == {"agent_task_running", "documents"}


async def test_a_collector_that_hangs_is_waited_for_once(registry: CollectorRegistry, agents: Agents) -> None:
    """No second thread is spent on it, and the scrape is answered in time."""
    agents.may_end.clear()
    page = Page(Own(), registry, collect_seconds=0.01)
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            assert names((await page.render(""))[1]) == {"agent_task_running"}
    agents.may_end.set()
    assert [line["reason"] for line in logs] == ["it was not collected within 0.01 s"]
    assert agents.asked == 1


async def test_scrapers_that_come_at_once_have_the_same(registry: CollectorRegistry, agents: Agents) -> None:
    """One after the other, and each in its own format."""
    agents.lines = 2
    page = Page(Own(), registry)
    pages = await asyncio.gather(*(page.render(accept) for accept in ("", OPEN, "", OPEN)))
    assert [text.count(b"documents{") for _, text in pages] == [2] * 4
    assert [text.endswith(b"# EOF\n") for _, text in pages] == [False, True, False, True]


async def test_metrics_without_end_are_left_out(registry: CollectorRegistry, agents: Agents) -> None:
    """A manager reads 1 MiB, and the adapter's own are within it."""
    agents.lines = 20_000
    with structlog.testing.capture_logs() as logs:
        _, page = await Page(Own(), registry).render("")
    assert names(page) == {"agent_task_running"}
    assert f"more than {MAX_AGENT_BYTES}" in logs[0]["reason"]
