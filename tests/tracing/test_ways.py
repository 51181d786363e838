"""The trace reaches an agent whatever it is made of; and where nothing is recorded it is passed on as it came."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.adapter.upstream_service import Upstream, says, serving
from tests.system.fleet import Fleet
from tests.tracing.collector import CLIENT, Collector, traceparent
from tests.tracing.conftest import HERE, TracedFleet

EXECUTE = "POST /api/agent-services/{id}/execute"
NAMES = ("traceparent", "tracestate", "baggage")


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[Upstream]:
    """Give an HTTP service that is an agent's upstream."""
    async with serving(says(200, {"result": "from the service"})) as upstream:
        yield upstream


@pytest.fixture(scope="module")
async def agents(fleet: TracedFleet, service: Upstream) -> AsyncIterator[TracedFleet]:
    """Give a fleet with an agent in a process of its own, one that is a program, and one that is a service."""
    await asyncio.gather(
        fleet.start_traced("isolated", "second", AGENT_ISOLATION="process"),
        fleet.start_adapter("program", "program", ("--", sys.executable, str(HERE / "child.py"))),
        fleet.start_adapter("service", "service", ("--upstream", service.url)),
    )
    yield fleet
    fleet.end_agents()


@pytest.fixture(scope="module")
async def plain(service: Upstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """Give a fleet without tracing: an agent that calls another one, which is a service."""
    async with Fleet(tmp_path_factory.mktemp("plain")) as fleet:
        await fleet.start_manager()
        await fleet.start_agent("relay", "relay", "relay")
        await fleet.start_adapter("service", "service", ("--upstream", service.url))
        yield fleet


async def test_code_in_a_process_of_its_own_records_inside_its_task(agents: TracedFleet, collector: Collector) -> None:
    """Its spans are the adapter's own, its calls are inside them, its lines say so; its secrets it has not."""
    trace_id, header = traceparent(21)
    answer = await agents.execute("isolated", {"traceparent": header, "baggage": "who=me"}, next="program")
    told = answer.json()["result"]
    trace = await collector.trace(trace_id, 9)
    assert trace.outline(CLIENT) == [
        f"agent-manager: {EXECUTE}",
        "  agent-manager: POST",
        "    isolated: POST /execute",
        "      isolated: invoke_agent isolated",
        "        isolated: work in a thread",
        f"          agent-manager: {EXECUTE}",
        "            agent-manager: POST",
        "              program: POST /execute",
        "                program: invoke_agent program",
    ]
    invoked, inner = trace.one("invoke_agent isolated"), trace.one("work in a thread")
    assert invoked.instance == inner.instance
    assert told["traceparent"] == f"00-{trace_id}-{invoked.span_id}-01"
    assert told["baggage"] == {"who": "me"}

    async def logged() -> bool:
        lines = [line for line in agents.log_lines("isolated") if line["message"] == "in the thread"]
        return [(line["trace_id"], line["span_id"]) for line in lines] == [(trace_id, inner.span_id)]

    await agents.until(logged, "the child's line is there with the ids")


async def test_a_program_is_told_its_trace_with_the_task(agents: TracedFleet, collector: Collector) -> None:
    """In its message; and what it writes to its standard error carries the trace's id."""
    trace_id, header = traceparent(22)
    answer = await agents.execute("program", {"traceparent": header, "tracestate": "a=1", "baggage": "who=me"})
    told = answer.json()["result"]
    invoked = (await collector.trace(trace_id, 4)).one("invoke_agent program")
    assert told["traceparent"] == f"00-{trace_id}-{invoked.span_id}-01"
    assert told.keys() == {"taskId", "parameters", "traceparent"}

    async def logged() -> bool:
        lines = [line for line in agents.log_lines("program") if line["message"] == "child at work"]
        return lines[-1].get("trace_id") == trace_id

    await agents.until(logged, "the child's line is there with the id")


async def test_a_service_is_told_its_trace_by_headers(
    agents: TracedFleet, service: Upstream, collector: Collector
) -> None:
    """All three, and the span is that of the agent's work."""
    trace_id, header = traceparent(23)
    given = {"traceparent": header, "tracestate": "a=1", "baggage": "who=me;p=1"}
    assert (await agents.execute("service", given)).status_code == 200
    invoked = (await collector.trace(trace_id, 4)).one("invoke_agent service")
    *_, (_, _, headers, _) = service.asked
    expected = (f"00-{trace_id}-{invoked.span_id}-01", "a=1", "who=me;p=1")
    assert tuple(headers[name] for name in NAMES) == expected


async def test_what_its_caller_does_not_record_is_passed_on_as_it_came(
    agents: TracedFleet, service: Upstream, collector: Collector
) -> None:
    """The decision is the caller's, and nobody in between has made a span."""
    trace_id, header = traceparent(24, "00")
    given = {"traceparent": header, "tracestate": "a=1", "baggage": "who=me;p=1"}
    assert (await agents.execute("service", given)).status_code == 200
    *_, (_, _, headers, _) = service.asked
    assert {name: headers[name] for name in NAMES} == given
    later, header = traceparent(25)
    assert (await agents.execute("service", {"traceparent": header})).status_code == 200
    await collector.trace(later, 4)
    assert collector.of(trace_id) == []


async def test_headers_that_break_the_rules_are_no_lines_in_a_log(
    agents: TracedFleet, service: Upstream, collector: Collector
) -> None:
    """Whoever calls could fill it, with texts of his own; the call goes on, and in a trace."""
    trace_id, header = traceparent(27)
    broken = {"traceparent": header, "tracestate": "canary", "baggage": f"canary{'y' * 9000}"}
    assert (await agents.execute("service", broken)).status_code == 200
    assert len((await collector.trace(trace_id, 4)).spans) == 4
    *_, (_, _, headers, _) = service.asked
    assert headers["traceparent"].startswith(f"00-{trace_id}-")
    assert not any("canary" in str(line) for name in ("manager", "service") for line in agents.log_lines(name))


async def test_without_tracing_the_three_headers_pass_unchanged_through_agents(plain: Fleet, service: Upstream) -> None:
    """From a client by an agent's call to another agent's service, byte for byte; also what is no trace context."""
    given = {"traceparent": traceparent(26)[1], "tracestate": "a=1, b=2", "baggage": "who=me;p=1,x=%20"}
    answer = await plain.execute("relay", given, agent="service", parameters={})
    assert answer.json()["result"] == "from the service"
    *_, (_, _, headers, _) = service.asked
    assert {name: headers[name] for name in NAMES} == given
    assert (await plain.execute("service", {"traceparent": "no trace at all"})).status_code == 200
    *_, (_, _, headers, _) = service.asked
    assert headers["traceparent"] == "no trace at all"


def test_without_tracing_no_process_has_loaded_it(plain: Fleet) -> None:
    """It costs 0.2 s and 14 MB of each; of it protobuf's library is what a process's maps show."""
    for name in ("manager", "relay", "service"):
        maps = Path(f"/proc/{plain.processes[name].pid}/maps").read_text()
        assert "msgspec" in maps
        assert "google/_upb" not in maps
