"""The metrics page: names and labels exactly as promised, every series there from the start."""

import asyncio
from datetime import datetime
from typing import Any

from agent_contract import __version__
from prometheus_client.parser import text_string_to_metric_families

from tests.adapter.conftest import StartAdapter
from tests.adapter.running_adapter import PATIENCE_SECONDS, RunningAdapter
from tests.adapter.sample_agents import Gate

BUCKETS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600]
FAMILIES = {
    "agent_task_running": ("gauge", [()]),
    "agent_tasks_queued": ("gauge", [()]),
    "agent_max_concurrency": ("gauge", [()]),
    "agent_state": ("gauge", [("starting",), ("running",), ("paused",), ("stopping",), ("stopped",)]),
    "agent_drain_deadline_timestamp_seconds": ("gauge", [()]),
    "agent_info": ("gauge", [(__version__, "1.2")]),
    "agent_tasks": (
        "counter",
        [("succeeded",), ("failed",), ("rejected",), ("cancelled",), ("timeout",), ("interrupted",)],
    ),
    "agent_refusals": ("counter", [("paused",), ("stopping",), ("at-capacity",), ("starting",)]),
    "agent_child_restarts": ("counter", [()]),
    "agent_task_duration_seconds": ("histogram", []),
    "agent_task_queue_duration_seconds": ("histogram", []),
}


async def families(adapter: RunningAdapter) -> dict[str, Any]:
    """Give the families of the page by name."""
    answer = await adapter.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


async def values(adapter: RunningAdapter) -> dict[str, float]:
    """Give each sample that is not 0, as `name{label,...}`."""
    return {
        sample.name + "".join(f"{{{value}}}" for value in sample.labels.values()): sample.value
        for family in (await families(adapter)).values()
        for sample in family.samples
        if sample.value and not sample.name.endswith(("_bucket", "_sum", "_seconds"))
    }


async def test_the_page_has_exactly_what_is_promised(start: StartAdapter) -> None:
    """Each family with its type and help, each series of a closed label set at 0, and nothing else."""
    found = await families(await start(version="1.2"))
    assert set(found) == set(FAMILIES)
    for name, (kind, series) in FAMILIES.items():
        family = found[name]
        assert (family.type, bool(family.documentation)) == (kind, True), name
        if kind != "histogram":
            assert [tuple(sample.labels.values()) for sample in family.samples] == series, name
            assert {sample.name for sample in family.samples} == {f"{name}_total" if kind == "counter" else name}
    labels = {family.name: set(family.samples[0].labels) for family in found.values()}
    assert labels["agent_info"] == {"version", "adapter_version"}
    assert (labels["agent_state"], labels["agent_tasks"], labels["agent_refusals"]) == (
        {"state"},
        {"outcome"},
        {"code"},
    )


async def test_durations_have_the_promised_buckets(start: StartAdapter) -> None:
    """The same for both, up to an hour."""
    found = await families(await start())
    for name in ("agent_task_duration_seconds", "agent_task_queue_duration_seconds"):
        bounds = [float(sample.labels["le"]) for sample in found[name].samples if sample.name.endswith("_bucket")]
        assert bounds == [*BUCKETS, float("inf")]
        assert {sample.name.removeprefix(name) for sample in found[name].samples} == {"_bucket", "_sum", "_count"}


async def test_the_gauges_are_as_it_is(start: StartAdapter) -> None:
    """What runs and waits, the state, the deadline of a drain."""
    adapter = await start("gated", process={"AGENT_MAX_CONCURRENCY": "2"})
    calls = []
    for number in range(3):
        calls.append(await adapter.post({}))
        await adapter.in_hand(min(number + 1, 2), max(0, number - 1))
    found = await values(adapter)
    gauges = ("agent_task_running", "agent_tasks_queued", "agent_max_concurrency")
    assert [found[name] for name in gauges] == [2, 1, 2]
    assert found["agent_state{running}"] == 1
    status = (await adapter.client.post("/action", json={"action": "stop"})).json()
    page = await families(adapter)
    deadline = page["agent_drain_deadline_timestamp_seconds"].samples[0].value
    assert abs(deadline - datetime.fromisoformat(status["drain"]["deadline"]).timestamp()) < 0.01
    assert (await values(adapter))["agent_state{stopping}"] == 1
    Gate.opened.set()
    for call in calls:
        await call.answer()


async def test_each_end_is_counted_once(start: StartAdapter) -> None:
    """By its outcome; a task that was refused while it waited is a refusal, and no task."""
    adapter = await start("gated", process={"AGENT_MAX_QUEUE": "1"})
    first = await adapter.post({})
    await adapter.in_hand(1)
    await asyncio.wait_for(Gate.entered.wait(), PATIENCE_SECONDS)
    waiting = await adapter.post({})
    await adapter.in_hand(1, 1)
    assert (await adapter.execute()).json()["code"] == "at-capacity"
    adapter.lifecycle.act("pause")
    assert (await adapter.execute()).json()["code"] == "paused"
    adapter.lifecycle.act("stop")
    assert (await waiting.answer())[1]["code"] == "stopping"
    assert (await adapter.execute()).json()["code"] == "stopping"
    found = await values(adapter)
    refusals = {code: found[f"agent_refusals_total{{{code}}}"] for code in ("at-capacity", "paused", "stopping")}
    assert refusals == {"at-capacity": 1, "paused": 1, "stopping": 2}
    adapter.lifecycle.call_off()
    await adapter.client.delete(f"/tasks/{adapter.table.oldest_running}")
    await first.answer()
    found = await values(adapter)
    assert found["agent_tasks_total{cancelled}"] == 1
    assert sum(value for name, value in found.items() if name.startswith("agent_tasks_total")) == 1
    assert found["agent_task_duration_seconds_count"] == 1
    assert found["agent_task_queue_duration_seconds_count"] == 1


async def test_the_totals_of_a_beat_are_the_counters(start: StartAdapter) -> None:
    """So that a manager knows them when the instance is gone."""
    adapter = await start("failing")
    await adapter.execute({"kind": "value"})
    totals = adapter.instance.adapter.metrics.totals()
    assert (totals.failed, totals.succeeded) == (1, 0)
