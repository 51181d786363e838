"""The metrics that an agent registered in a process of its own, on the adapter's page."""

import asyncio
import os

from agent_contract.adapter_families import ADAPTER_FAMILIES
from prometheus_client.parser import text_string_to_metric_families

from tests.adapter.conftest import StartAdapter
from tests.adapter.running_adapter import PATIENCE_SECONDS, RunningAdapter

OPEN = "application/openmetrics-text;version=1.0.0"
AGENTS = "tests.adapter.counting_agents"


async def page(adapter: RunningAdapter, accept: str = "text/plain") -> str:
    """Give the adapter's page."""
    return (await adapter.client.get("/metrics", headers={"accept": accept})).text


async def test_they_are_on_the_page(start: StartAdapter) -> None:
    """In either format, and nothing else of that process is."""
    adapter = await start(entryPoint=f"{AGENTS}:read", isolation="process")
    process = (await adapter.execute({"kind": "pdf"})).json()["result"]
    assert process != os.getpid()
    plain, rich = await asyncio.gather(page(adapter), page(adapter, OPEN))
    for text in (plain, await page(adapter), rich, await page(adapter, OPEN)):
        assert 'documents_read_total{kind="pdf"} 1.0\n' in text
    families = {family.name for family in text_string_to_metric_families(await page(adapter))}
    assert families == {*ADAPTER_FAMILIES, "documents_read"}
    assert (await page(adapter, OPEN)).endswith('documents_read_total{kind="pdf"} 1.0\n# EOF\n')


async def test_the_next_process_begins_at_nothing(start: StartAdapter) -> None:
    """As any process that is started again; the page is whole while it is not there."""
    adapter = await start(entryPoint=f"{AGENTS}:crash", isolation="process")
    assert (await adapter.execute({"kind": "pdf"})).json()["code"] == "agent-crashed"
    assert "agent_task_running" in await page(adapter)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while "# TYPE documents_read_total counter" not in (text := await page(adapter)):
            pass
    assert "documents_read_total{" not in text
    assert "agent_child_restarts_total 1.0\n" in text


async def test_an_agent_that_registers_nothing_loads_nothing(start: StartAdapter) -> None:
    """prometheus-client takes 14 MB and a quarter of a second."""
    adapter = await start(entryPoint="tests.adapter.isolated_agents:loaded", isolation="process")
    await page(adapter)
    assert "prometheus_client" not in (await adapter.execute()).json()["result"]
