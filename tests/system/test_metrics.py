"""Metrics over real processes: those of all agents on the manager's page, and what outlives an instance."""

import asyncio
import re
import signal
from collections.abc import Iterable

from agent_contract.adapter_families import ADAPTER_FAMILIES
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.system.accepted import accept
from tests.system.fleet import Fleet

COUNTING = """
from prometheus_client import Counter, Histogram

READ = Counter("documents_read", "Documents that were read.", ["kind", "pod"])
TOOK = Histogram("reading_seconds", "How long reading took.")


async def read(parameters):
    READ.labels(parameters["kind"], "mine").inc()
    TOOK.observe(0.2)
    return parameters["kind"]
"""


async def page(fleet: Fleet, scope: str = "all") -> str:
    """Give the manager's page in OpenMetrics."""
    headers = {"accept": "application/openmetrics-text;version=1.0.0"}
    return (await fleet.client.get("/metrics", params={"scope": scope}, headers=headers)).text


async def value(fleet: Fleet, name: str, **labels: str) -> float | None:
    """Give the value of one of the manager's own series, None where there is none."""
    series = ",".join(f'{label}="{text}"' for label, text in labels.items())
    found = re.search(rf"^agent_manager_{name}\{{{series}\}} (\S+)$", await page(fleet, "self"), re.MULTILINE)
    return float(found[1]) if found else None


async def test_the_managers_page_has_the_metrics_of_all_agents(crew: Fleet) -> None:
    """The adapters' own, and what agents registered; each series says whose it is, and who left has none."""
    (crew.directory / "counting_agent.py").write_text(COUNTING)
    for name in ("reader-1", "reader-2"):
        await crew.start_adapter(name, "reader", ("--entry-point", "counting_agent:read"))
    await crew.start_agent("writer-1", "writer")
    for kind in ("pdf", "html", "pdf", "html"):
        assert (await crew.execute("reader", kind=kind)).status_code == 200

    async def counted() -> bool:
        read: Iterable[Metric] = text_string_to_metric_families(await page(crew))  # type: ignore[no-untyped-call]  # the library's
        families.clear()
        families.update({family.name: family for family in read})
        return sum(sample.value for sample in families["agent_tasks"].samples) == 4

    families: dict[str, Metric] = {}
    await crew.until(counted, "the tasks of both readers are on the page")
    instances = {agent: {one["instanceId"] for one in await crew.instances(agent)} for agent in ("reader", "writer")}
    for name in ADAPTER_FAMILIES:
        owners = {(sample.labels["agent"], sample.labels["instance_id"]) for sample in families[name].samples}
        assert owners == {(agent, one) for agent, ids in instances.items() for one in ids}
    own = families["documents_read"].samples
    assert sum(sample.value for sample in own) == 4
    assert {tuple(sorted(sample.labels)) for sample in own} == {("agent", "instance_id", "kind")}
    assert families["reading_seconds"].type == "histogram"
    crew.signal("writer-1", signal.SIGTERM)
    assert await crew.exit_code("writer-1") == 0
    assert instances["writer"].isdisjoint(re.findall(r'instance_id="([^"]+)"', await page(crew)))


async def test_the_last_word_of_an_instance_is_not_lost(crew: Fleet) -> None:
    """How its drain went, and how long its tasks took: the asynchronous one too that ended after the last beat."""
    await crew.start_agent("clean", "graceful")
    await accept(crew, "graceful", number=1, seconds=0.6)
    crew.signal("clean", signal.SIGTERM)
    assert await crew.exit_code("clean") == 0
    assert await value(crew, "drains_total", agent="graceful", outcome="clean") == 1
    assert await value(crew, "grace_tasks", agent="graceful") == 1
    assert await value(crew, "grace_needed_seconds", agent="graceful") == 1
    assert await value(crew, "grace_cut_ratio", agent="graceful") == 0
    await crew.start_agent("cut", "graceful", DRAIN_TIMEOUT_SECONDS="0.3")
    calls = [asyncio.create_task(crew.execute("graceful", number=2, seconds=20))]

    async def runs() -> bool:
        return any(one["current_task"] for one in await crew.instances("graceful"))

    await crew.until(runs, "the task runs")
    crew.signal("cut", signal.SIGTERM)
    assert (await calls[0]).json()["code"] == "drain-timeout"
    assert await crew.exit_code("cut") == 0
    assert await value(crew, "drains_total", agent="graceful", outcome="cut") == 1
    assert await value(crew, "drain_tasks_cut_total", agent="graceful") == 1
    assert await value(crew, "drain_duration_seconds_count", agent="graceful") == 2
    assert await value(crew, "grace_tasks", agent="graceful") == 2
