"""How a process that records leaves, and what a collector that is away costs it: its spans, and nothing else."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.processes.adapter_process import AdapterProcess, agent
from tests.tracing.collector import collecting, traceparent

Running = AbstractAsyncContextManager[AdapterProcess]

SOON = {"OTEL_BSP_SCHEDULE_DELAY": "20"}
LATE = {"OTEL_BSP_SCHEDULE_DELAY": "60000"}
"""A batch that is due long after the test: what waits is sent on the way out, or not at all."""


def recording(directory: Path, url: str, entry_point: str = "sample:echo", **environment: Any) -> Running:
    """Give a running adapter that records for the collector at `url`."""
    return agent(directory, entry_point, OTEL_EXPORTER_OTLP_ENDPOINT=url, **environment)


async def seconds_to_leave(adapter: AdapterProcess) -> float:
    """Order it to stop, and give how long it took from then on to be gone; its exit code is 0."""
    began = monotonic()
    await adapter.act("stop")
    assert await adapter.process.wait() == 0
    return monotonic() - began


async def test_the_last_spans_are_sent_on_the_way_out(tmp_path: Path) -> None:
    """Those of a task that ended a moment ago, with the names that the environment gives the service."""
    names = {"OTEL_SERVICE_NAME": "mine", "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=this-one"}
    secret = {"OTEL_EXPORTER_OTLP_HEADERS": "x-key=canary"}
    async with (
        collecting() as collector,
        recording(tmp_path, collector.url, "sample:surroundings", **names, **secret, **LATE) as adapter,
    ):
        trace_id, header = traceparent(31)
        answer = await adapter.execute(traceparent=header)
        assert "canary" not in answer.text  # the collector's key is not for agent code
        assert collector.asked == 0
        await seconds_to_leave(adapter)
        spans = collector.of(trace_id)
    assert {span.name for span in spans} == {"POST /execute", "invoke_agent sample"}
    assert {(span.service, span.instance) for span in spans} == {("mine", "this-one")}
    assert collector.headers["x-key"] == "canary"


async def test_with_nothing_to_send_a_process_that_records_leaves_at_once(tmp_path: Path) -> None:
    """As one that records nothing, whatever its collector is like; the best of three, for the machine is shared."""
    took = []
    async with collecting() as collector:
        collector.answers = None
        for number in range(3):
            (directory := tmp_path / str(number)).mkdir()
            async with recording(directory, collector.url) as adapter:
                took.append(await seconds_to_leave(adapter))
    assert min(took) < 0.25, took


async def test_a_collector_that_hangs_holds_up_neither_calls_nor_the_exit(tmp_path: Path) -> None:
    """Its answers never come: a call takes what it takes, and the last spans are waited for no longer than 0.7 s."""
    async with (
        collecting() as collector,
        recording(tmp_path, collector.url, **SOON) as adapter,
    ):
        collector.answers = None
        took = []
        for _ in range(30):
            began = monotonic()
            assert (await adapter.execute({"a": 1})).status_code == 200
            took.append(monotonic() - began)
        await collector.until(lambda it: it.asked > 0, "a batch")
        assert sorted(took)[15] < 0.1, took
        assert await seconds_to_leave(adapter) < 2


@pytest.mark.parametrize("schedule", [SOON, LATE])
async def test_a_collector_that_is_not_there_is_said_once_and_not_waited_for(
    tmp_path: Path, schedule: dict[str, str]
) -> None:
    """One line, also after many batches; the exit is that of a process with nothing to send."""
    async with collecting() as gone:
        url = gone.url
    async with recording(tmp_path, url, **schedule) as adapter:
        for _ in range(20):
            assert (await adapter.execute({"a": 1})).status_code == 200
        if schedule is SOON:
            await adapter.said("cannot send spans")
        assert await seconds_to_leave(adapter) < 0.6
        await adapter.exited()
        lines = [line for line in adapter.lines if "spans" in line["message"] or "otel" in line["message"].lower()]
    assert [line["message"] for line in lines] == ["cannot send spans"]
    assert (lines[0]["level"], lines[0]["to"]) == ("warning", url)
    assert "Connection refused" in lines[0]["reason"]


async def test_a_collector_that_comes_back_is_said_too(tmp_path: Path) -> None:
    """With how many spans were lost meanwhile; those that come then arrive."""
    async with (
        collecting() as collector,
        recording(tmp_path, collector.url, **SOON) as adapter,
    ):
        collector.answers = 400  # not worth a retry: the batch is lost
        await adapter.execute({"a": 1})
        await adapter.said("cannot send spans")
        collector.answers = 200
        trace_id, header = traceparent(32)
        await adapter.execute({"a": 1}, traceparent=header)
        line = await adapter.said("sending spans again")
        assert line["lost"] == 2
        await collector.trace(trace_id, 2)
        async with asyncio.timeout(20):
            await adapter.act("stop")
            await adapter.exited()
