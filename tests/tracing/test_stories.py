"""Traces of real processes, as a real OTLP receiver gets them: from a client through manager and adapter into code."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.tracing.collector import CLIENT, Collector, Trace, traceparent
from tests.tracing.conftest import TracedFleet

EXECUTE = "POST /api/agent-services/{id}/execute"


@pytest.fixture(scope="module")
async def agents(fleet: TracedFleet) -> AsyncIterator[TracedFleet]:
    """Give a fleet with an agent that calls another one, which works in a thread; one that streams; a pair."""
    await asyncio.gather(
        fleet.start_traced("first", "first", AGENT_NAME="The First", AGENT_VERSION="1.2"),
        fleet.start_traced("second", "second"),
        fleet.start_traced("stream", "stream"),
        fleet.start_pair("first"),
    )
    yield fleet
    fleet.end_agents()


async def test_one_trace_goes_from_the_client_through_two_agents_and_their_code(
    agents: TracedFleet, collector: Collector
) -> None:
    """Manager, adapter, agent code, its call to another agent by the manager, that one's code in a thread."""
    trace_id, header = traceparent(1)
    answer = await agents.execute("first", {"traceparent": header, "tracestate": "vendor=x", "baggage": "who=me;p"})
    told = answer.json()["result"]
    trace = await collector.trace(trace_id, 10)
    assert trace.outline(CLIENT) == [
        f"agent-manager: {EXECUTE}",
        "  agent-manager: POST",
        "    first: POST /execute",
        "      first: invoke_agent first",
        "        first: think",
        f"          agent-manager: {EXECUTE}",
        "            agent-manager: POST",
        "              second: POST /execute",
        "                second: invoke_agent second",
        "                  second: work in a thread",
    ]
    invoked = trace.one("invoke_agent second")
    assert told == {
        "traceparent": f"00-{trace_id}-{invoked.span_id}-01",
        "tracestate": "vendor=x",
        "baggage": {"who": "me;p"},
    }
    assert {span.tracestate for span in trace.spans} == {"vendor=x"}


async def test_spans_say_what_the_conventions_want_and_nothing_of_what_was_asked(
    agents: TracedFleet, collector: Collector
) -> None:
    """Route, status, agent, task, instance; neither a parameter, nor a result, nor a query, nor a credential."""
    trace_id, header = traceparent(2)
    seen = len(collector.bodies)
    path = "/api/agent-services/first/execute?token=canary-query"
    headers = {"traceparent": header, "authorization": "Bearer canary-credential", "user-agent": "tests"}
    parameters = {"give": {"text": "canary-parameter"}}
    answer = await agents.client.post(path, json={"parameters": parameters}, headers=headers)
    trace = await collector.trace(trace_id, 10)
    task_id, instance_id = answer.headers["x-task-id"], answer.headers["x-agent-instance"]
    server = next(span for span in trace.spans if span.parent_id == CLIENT)
    common = {"http.request.method": "POST", "url.scheme": "http", "network.protocol.version": "1.1"}
    assert server.kind == "server"
    assert server.attributes == common | {
        "http.route": "/api/agent-services/{id}/execute",
        "url.path": "/api/agent-services/first/execute",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": agents.manager_port,
        "client.address": "127.0.0.1",
        "user_agent.original": "tests",
        "agent_orchestration.task_id": task_id,
    }
    (attempt,) = trace.inside(server)
    port = attempt.attributes["server.port"]
    assert attempt.kind == "client"
    assert attempt.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.full": f"http://127.0.0.1:{port}/execute",
        "server.address": "127.0.0.1",
        "server.port": port,
        "agent_orchestration.instance_id": instance_id,
        "agent_orchestration.outcome": "answered",
    }
    adapter = trace.one("POST /execute", "first")
    assert (adapter.kind, adapter.instance) == ("server", instance_id)
    assert adapter.attributes["http.route"] == "/execute"
    assert adapter.attributes["agent_orchestration.task_id"] == task_id
    invoked = trace.one("invoke_agent first")
    assert invoked.kind == "internal"
    assert invoked.attributes.pop("agent_orchestration.queued_seconds") < 5
    assert invoked.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.id": "first",
        "gen_ai.agent.name": "The First",
    }
    assert not any(span.failed for span in trace.spans)
    assert b"canary" not in b"".join(collector.bodies[seen:])


async def test_log_lines_carry_the_ids_of_the_span_they_were_said_in(agents: TracedFleet, collector: Collector) -> None:
    """Those of the task, or of a span that the agent's own code began; `print` in a thread too."""
    trace_id, header = traceparent(3)
    answer = await agents.execute("first", {"traceparent": header})
    assert answer.status_code == 200
    trace = await collector.trace(trace_id, 10)
    ids = {
        "before the span": trace.one("invoke_agent first").span_id,
        "in the span": trace.one("think").span_id,
        "in the thread": trace.one("work in a thread").span_id,
    }

    async def logged() -> bool:
        lines = [*agents.log_lines("first"), *agents.log_lines("second")]
        own = [line for line in lines if line.get("trace_id") == trace_id]
        return {line["message"]: line["span_id"] for line in own} == ids

    await agents.until(logged, "the lines are there with the ids")


async def test_a_try_that_was_refused_is_a_span_before_the_one_that_was_taken(
    agents: TracedFleet, collector: Collector
) -> None:
    """Retries are spans of their own, with instance, number and outcome."""
    gate, closed = agents.directory / "gate", agents.directory / "closed"
    gate.touch()
    full, free = agents.pair
    body = {"parameters": {"gate": str(closed)}}
    busy = asyncio.create_task(agents.client.post(f"http://127.0.0.1:{full}/execute", json=body))

    async def is_full() -> bool:
        return (await agents.client.get(f"http://127.0.0.1:{full}/status")).json()["current_task"] is not None

    await agents.until(is_full, "one instance is full")
    trace_ids = []
    for number in (4, 5):  # ties are broken in turn, so one of the two calls comes to the full one first
        trace_id, header = traceparent(number)
        answer = await agents.execute("pair", {"traceparent": header}, gate=str(gate))
        assert answer.status_code == 200
        trace_ids.append(trace_id)
    closed.touch()
    await busy
    await collector.until(lambda it: sorted(len(it.of(one)) for one in trace_ids) == [4, 6], "one of them was retried")
    (retried,) = [Trace(collector.of(one)) for one in trace_ids if len(collector.of(one)) == 6]
    server = retried.one(EXECUTE)
    refused, taken = retried.inside(server)
    assert (refused.name, taken.name, server.failed) == ("POST", "POST", False)
    assert refused.attributes["server.port"] == full
    assert refused.attributes["http.response.status_code"] == 503
    assert refused.attributes["agent_orchestration.outcome"] == "refused"
    assert (refused.attributes["error.type"], refused.failed) == ("at-capacity", True)
    assert taken.attributes["http.request.resend_count"] == 1
    assert (taken.attributes["server.port"], taken.failed) == (free, False)
    assert refused.ended <= taken.began


async def test_an_error_is_a_kind_and_never_a_message(agents: TracedFleet, collector: Collector) -> None:
    """The class of what the code raised; its message may quote a parameter, and stays in the log."""
    seen = len(collector.bodies)
    trace_id, header = traceparent(6)
    answer = await agents.execute("first", {"traceparent": header}, secret="canary-secret")  # noqa: S106  # it must not come out
    assert answer.json()["code"] == "agent-failed"
    trace = await collector.trace(trace_id, 4)
    kinds = {span.name: (span.attributes.get("error.type"), span.failed) for span in trace.spans}
    assert kinds == {
        EXECUTE: ("500", True),
        "POST": ("500", True),
        "POST /execute": ("500", True),
        "invoke_agent first": ("LookupError", True),
    }
    assert b"canary" not in b"".join(collector.bodies[seen:])
    (line,) = [line for line in agents.log_lines("manager") if line["message"] == "forwarded call failed"]
    assert (line["trace_id"], line["span_id"]) == (trace_id, trace.one(EXECUTE).span_id)
    (failed,) = [line for line in agents.log_lines("first") if line["message"] == "task failed"]
    assert (failed["trace_id"], failed["span_id"]) == (trace_id, trace.one("invoke_agent first").span_id)


async def test_a_streams_spans_end_with_the_stream_and_a_task_outlives_its_202(
    agents: TracedFleet, collector: Collector
) -> None:
    """What is still going on has not ended: nothing of it is sent before its last chunk or its result."""
    trace_id, header = traceparent(7)
    gate = agents.directory / "chunks"
    body, headers = {"parameters": {"gate": str(gate)}}, {"traceparent": header, "accept": "text/event-stream"}
    async with agents.client.stream("POST", "/api/agent-services/stream/execute", json=body, headers=headers) as answer:
        pieces = answer.aiter_text()
        assert "chunk" in await anext(pieces)
        gate.touch()
        opened = gate.stat().st_mtime_ns
        assert "result" in "".join([piece async for piece in pieces])
    trace = await collector.trace(trace_id, 4)
    assert [span.name for span in trace.spans if span.ended < opened] == []

    gate = agents.directory / "later"
    trace_id, header = traceparent(8)
    taken = await agents.execute("first", {"traceparent": header, "prefer": "respond-async"}, gate=str(gate))
    assert taken.status_code == 202
    answered = await collector.trace(trace_id, 3)
    assert {span.name for span in answered.spans} == {EXECUTE, "POST", "POST /execute"}
    gate.touch()
    trace = await collector.trace(trace_id, 4)
    invoked = trace.one("invoke_agent first")
    assert invoked.parent_id == trace.one("POST /execute").span_id
    assert invoked.ended > trace.one("POST /execute").ended


async def test_an_action_is_a_span_and_its_lines_carry_the_ids(agents: TracedFleet, collector: Collector) -> None:
    """Who paused what can be found by the trace of the request that ordered it."""
    trace_id, header = traceparent(9)
    path = "/api/agent-services/second/action"
    ordered = await agents.client.post(path, json={"action": "pause"}, headers={"traceparent": header})
    assert ordered.status_code == 202
    (span,) = (await collector.trace(trace_id, 1)).spans
    assert (span.service, span.name) == ("agent-manager", "POST /api/agent-services/{id}/action")
    assert (span.attributes["agent_orchestration.action"], span.attributes["http.response.status_code"]) == (
        "pause",
        202,
    )

    async def logged() -> bool:
        lines = [line for line in agents.log_lines("manager") if line.get("trace_id") == trace_id]
        return {line.get("code") for line in lines} >= {"pause-ordered", "pause-succeeded"}

    await agents.until(logged, "the action's lines are there")
    assert (await agents.client.post(path, json={"action": "resume"})).status_code == 202


async def test_probes_scrapes_beats_and_listings_are_no_traces(agents: TracedFleet, collector: Collector) -> None:
    """Only what was asked of an agent is: the rest comes every few seconds and says nothing."""
    for path in ("/health", "/ready", "/metrics", "/api/agent-services", "/api/agent-services/second/logs"):
        trace_id, header = traceparent(10)
        assert (await agents.client.get(path, headers={"traceparent": header})).status_code == 200
    trace_id, header = traceparent(11)
    assert (await agents.execute("second", {"traceparent": header})).status_code == 200
    await collector.trace(trace_id, 5)
    routes = {span.attributes.get("http.route") for span in collector.spans}
    assert routes <= {None, "/execute", "/api/agent-services/{id}/execute", "/api/agent-services/{id}/action"}
    assert collector.of(traceparent(10)[0]) == []
