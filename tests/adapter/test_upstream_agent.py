"""An agent that is an HTTP service: what it is asked, what its answers mean, what is said while it is not there."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from agent_adapter.agents.context import Context, Ports
from agent_adapter.agents.upstream_agent import UpstreamAgent
from agent_adapter.errors import Rejected
from agent_adapter.http_client import HttpClient
from agent_contract.problems import Problem
from agent_contract.tracing import Span, TraceContext

from tests.adapter.running_adapter import PATIENCE_SECONDS
from tests.adapter.upstream_service import Reply, Upstream, says, serving, streams

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACED = Span(context=TraceContext(TRACEPARENT))


class Told:
    """Is told of each change, and lets a test wait for the next."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()

    def __call__(self) -> None:
        """Note it."""
        self.changed.set()

    async def once(self) -> None:
        """Return at the next change."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.changed.wait()
        self.changed.clear()


@asynccontextmanager
async def agent_of(upstream: Upstream, **options: Any) -> AsyncIterator[UpstreamAgent]:
    """Give a started agent in front of the service."""
    agent = UpstreamAgent(upstream.url, HttpClient(connections=4), **{"on_change": lambda: None, **options})
    await agent.start()
    try:
        yield agent
    finally:
        await agent.close()


async def run(agent: UpstreamAgent, *, streaming: bool = False) -> tuple[Any, list[Any]]:
    """Give result and chunks of one task."""
    chunks: list[Any] = []

    async def emit(chunk: bytes) -> None:
        chunks.append(json.loads(chunk))

    ports = Ports(report=lambda _: None, call=None, loop=asyncio.get_running_loop())  # type: ignore[arg-type]  # nobody calls
    context = Context("t1", ports, deadline=None, span=TRACED, streaming=streaming)
    result = await agent.run({"a": 1}, context, emit)
    return (json.loads(result) if result else None), chunks


async def outcome(reply: Reply) -> Any:
    """Give what one task against a service with this reply gives or raises."""
    async with serving(reply) as upstream, agent_of(upstream) as agent:
        try:
            return (await run(agent))[0]
        except (Problem, Rejected) as error:
            return error


async def test_it_is_asked_as_an_adapter_is() -> None:
    """`POST /execute` with the parameters alone, the task's id and its trace context."""
    async with serving(says(200, {"result": 1})) as upstream, agent_of(upstream) as agent:
        await run(agent)
    [(method, path, headers, body)] = upstream.asked
    assert (method, path, body) == ("POST", "/execute", {"parameters": {"a": 1}})
    assert (headers["x-task-id"], headers["traceparent"]) == ("t1", TRACEPARENT)
    assert (headers["content-type"], headers["accept"]) == ("application/json", "application/json")
    assert headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ({"result": {"b": 2}, "taskId": "x"}, {"b": 2}),
        ({"result": None}, None),
        ({"answer": 42}, {"answer": 42}),
        ([1, 2], [1, 2]),
        ("text", "text"),
        (b"null", None),
    ],
)
async def test_its_result_is_the_member_or_the_whole(body: Any, result: Any) -> None:
    """The member `result` where there is one, else the whole answer."""
    assert await outcome(says(200, body)) == result


@pytest.mark.parametrize("status", [400, 422])
async def test_its_400_and_422_are_the_callers_mistake(status: int) -> None:
    """With its words, and its field where it names one."""
    found = await outcome(says(status, {"detail": "too long", "field": "parameters.a"}))
    assert (type(found), found.detail, found.field) == (Rejected, "too long", "parameters.a")
    assert (await outcome(says(status, b"no JSON"))).detail == "no JSON"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("headers", "after"), [({}, "1"), ({"retry_after": "7"}, "7"), ({"retry_after": "\xe9"}, "1")])
async def test_its_429_and_503_are_busy(status: int, headers: dict[str, str], after: str) -> None:
    """503 with its `Retry-After`; no refusal, for nobody knows that nothing began."""
    found = await outcome(says(status, {}, **headers))
    assert (found.code, found.status, found.headers) == ("upstream-busy", 503, {"Retry-After": after})


@pytest.mark.parametrize("status", [401, 404, 409, 500, 504])
async def test_its_other_errors_are_502_with_its_status(status: int) -> None:
    """So that whoever looks knows where to look."""
    found = await outcome(says(status, {"detail": "broken"}))
    assert (found.code, found.status, found.extra) == ("upstream-failed", 502, {"upstreamStatus": status})
    assert "broken" in found.detail


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff", b"[" * 100_000])
async def test_an_answer_that_is_not_json_is_its_failure(body: bytes) -> None:
    """Never a crash of ours."""
    found = await outcome(says(200, body))
    assert (found.code, found.extra) == ("upstream-failed", {"upstreamStatus": 200})


@pytest.mark.parametrize("size", [10 * 1024 * 1024, 21 * 1024 * 1024])
async def test_a_result_over_10_mib_is_too_large(size: int) -> None:
    """However much over; it is not read to its end."""
    assert (await outcome(says(200, b'{"result":"' + b"x" * size + b'"}'))).code == "result-too-large"


async def test_an_endless_error_keeps_its_status() -> None:
    """What it says behind 64 KiB is not wanted."""
    assert (await outcome(says(500, b"x" * 1_000_000))).extra == {"upstreamStatus": 500}


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"SSH-2.0\r\n",
    ],
)
async def test_a_broken_answer_is_its_failure(said: bytes) -> None:
    """The connection ended before the answer was whole: nobody knows what became of the work."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        upstream = Upstream(says(200, {}))
        upstream.port = server.sockets[0].getsockname()[1]
        async with agent_of(upstream) as agent:
            with pytest.raises(Problem) as caught:
                await run(agent)
    assert (caught.value.code, caught.value.extra) == ("upstream-failed", {"upstreamStatus": None})


async def test_its_stream_is_relayed() -> None:
    """Chunk by chunk, then its result; asked for only when the caller wants it."""
    reply = streams(
        'event: chunk\ndata: {"n": 1}\n\n',
        ": quiet\n\nevent: chunk\ndata: 2\n\n",
        'event: result\ndata: {"result": [9]}\n\n',
    )
    async with serving(reply) as upstream, agent_of(upstream) as agent:
        assert await run(agent, streaming=True) == ([9], [{"n": 1}, 2])
    assert upstream.asked[0][2]["accept"] == "text/event-stream"


async def test_a_stream_without_a_result_is_its_chunks() -> None:
    """The list of them, as with any generator."""
    async with serving(streams("event: chunk\ndata: 1\n\n")) as upstream, agent_of(upstream) as agent:
        assert await run(agent, streaming=True) == (None, [1])


@pytest.mark.parametrize(
    "event", ['event: error\ndata: {"code":"x"}\n\n', "event: chunk\ndata: no JSON\n\n", "event: result\ndata: {\n\n"]
)
async def test_a_stream_that_fails_is_its_failure(event: str) -> None:
    """Its own error event, or what cannot be handed on."""
    assert (await outcome(streams(event))).code == "upstream-failed"


async def test_a_cancelled_task_leaves_it() -> None:
    """The connection is closed, which is all that HTTP has to say."""
    async with serving(streams(end=asyncio.Event())) as upstream, agent_of(upstream) as agent:
        task = asyncio.create_task(run(agent))
        await asyncio.wait_for(upstream.came.wait(), PATIENCE_SECONDS)
        task.cancel()
        await asyncio.wait_for(upstream.left.wait(), PATIENCE_SECONDS)


async def test_it_is_waited_for_at_the_start() -> None:
    """Started beside the adapter, it may take its time; until then the problem says so."""
    async with serving(says(200, {"result": 1})) as upstream:
        url, port = upstream.url, upstream.port
    told = Told()
    agent = UpstreamAgent(url, HttpClient(connections=1), told)
    starting = asyncio.create_task(agent.start())
    await told.once()
    assert agent.problem is not None
    assert agent.problem.code == "upstream-unreachable"
    async with serving(says(200, {"result": 1}), port):
        await asyncio.wait_for(starting, PATIENCE_SECONDS)
        assert agent.problem is None
        assert await run(agent) == (1, [])
    await agent.close()


async def test_while_it_is_away_the_problem_says_so() -> None:
    """From the first call that it refuses, or within a second; until it accepts connections again."""
    told = Told()
    async with serving(says(200, {"result": 1})) as upstream:
        agent = UpstreamAgent(upstream.url, HttpClient(connections=1), told)
        await agent.start()
    with pytest.raises(Problem) as caught:
        await run(agent)
    assert (caught.value.code, caught.value.status) == ("upstream-unreachable", 503)
    assert caught.value.extra == {"started": False}
    assert agent.problem is not None
    told.changed.clear()
    async with serving(says(200, {"result": 1}), upstream.port):
        await told.once()
        assert agent.problem is None
        assert await run(agent) == (1, [])
    await agent.close()


async def test_its_schema_is_the_configurations() -> None:
    """A call that breaks it never reaches the service."""
    schema = {"type": "object", "required": ["b"]}
    async with serving(says(200, {})) as upstream, agent_of(upstream, schema=schema) as agent:
        assert agent.parameters_schema == schema
        with pytest.raises(Rejected):
            agent.accept({"a": 1})
    assert upstream.asked == []
