"""Calls of agent code to other agents: what is sent, what comes back, what an author can catch."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from agent_adapter import AgentError
from agent_adapter.agents.context import Context, Ports
from agent_adapter.credentials import ManagerTokens
from agent_adapter.http_client import HttpClient
from agent_adapter.outgoing_calls import OutgoingCalls
from agent_contract.tracing import Span, TraceContext

from tests.adapter.upstream_service import Reply, says, serving

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACED = Span(context=TraceContext(TRACEPARENT))

SENT = "the shared secret"


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    """Give an HTTP client."""
    made = HttpClient(connections=4)
    yield made
    await made.close()


def context(url: str | None, client: HttpClient, *, token: str = "", deadline_at: float | None = None) -> Context:
    """Give a task's context whose calls go to this manager."""
    calls = OutgoingCalls(url, client, ManagerTokens("planner", (token,) if token else ()), agent_id="planner")
    ports = Ports(lambda _: None, calls.of_task("task-1", deadline_at, TRACED), asyncio.get_running_loop())
    return Context("task-1", ports, deadline=None, span=TRACED, streaming=False)


async def failure(reply: Reply, client: HttpClient) -> AgentError:
    """Give what a call raises when the manager answers so."""
    async with serving(reply) as manager:
        with pytest.raises(AgentError) as caught:
            await context(manager.url, client).call("executor", {})
    return caught.value


async def test_a_call_goes_through_the_manager(client: HttpClient) -> None:
    """With the manager token, who calls, the trace, the key; its result comes back."""
    async with serving(says(200, {"taskId": "x", "result": {"b": 2}})) as manager:
        its = context(manager.url, client, token=SENT)
        result = await its.call("executor", {"a": 1}, idempotency_key="k")
    [(method, path, headers, body)] = manager.asked
    assert (method, path, body, result) == (
        "POST",
        "/api/agent-services/executor/execute",
        {"parameters": {"a": 1}},
        {"b": 2},
    )
    assert headers["x-manager-token"] == SENT
    assert headers["x-agent-caller"] == "agent/planner/task-1"
    assert (headers["traceparent"], headers["idempotency-key"]) == (TRACEPARENT, "k")


async def test_a_thread_can_call_too(client: HttpClient) -> None:
    """`call_sync`, from code that runs in a thread."""
    async with serving(says(200, {"result": 7})) as manager:
        its = context(manager.url, client)
        assert await asyncio.to_thread(its.call_sync, "executor", {}) == 7
    assert "x-manager-token" not in manager.asked[0][2]


@pytest.mark.parametrize(
    ("status", "problem", "expected"),
    [
        (409, {"code": "paused", "detail": "d", "started": False}, ("paused", 409, False, None)),
        (
            503,
            {"code": "drain-timeout", "detail": "d", "started": True, "outcome": "interrupted"},
            ("drain-timeout", 503, True, "interrupted"),
        ),
        (
            502,
            {"code": "outcome-unknown", "detail": "d", "outcome": "unknown"},
            ("outcome-unknown", 502, None, "unknown"),
        ),
        (500, {"code": "agent-failed", "detail": "d"}, ("agent-failed", 500, None, None)),
        (500, ["?"], ("bad-answer", 500, None, None)),
        (200, {"no": "result"}, ("bad-answer", 200, None, None)),
    ],
)
async def test_a_problem_is_raised_with_all_that_it_says(
    client: HttpClient, status: int, problem: Any, expected: tuple[Any, ...]
) -> None:
    """Code, status, whether work began, what became of it."""
    error = await failure(says(status, problem), client)
    assert (error.code, error.status, error.started, error.outcome) == expected
    assert error.code in str(error)


async def test_a_manager_that_is_not_there(client: HttpClient) -> None:
    """Nothing began: not configured, or the connection refused."""
    async with serving(says(200, {})) as manager:
        gone = manager.url
    for url in (None, gone):
        with pytest.raises(AgentError) as caught:
            await context(url, client).call("executor", {})
        assert (caught.value.code, caught.value.started, caught.value.status) == ("unavailable", False, 0)


@pytest.mark.parametrize("agent_id", ["", "../x", "Planner", "a/b", "a?b"])
async def test_what_is_no_agent_id_is_not_sent(client: HttpClient, agent_id: str) -> None:
    """It would become a part of the path."""
    async with serving(says(200, {"result": 1})) as manager:
        with pytest.raises(AgentError) as caught:
            await context(manager.url, client).call(agent_id, {})
    assert (caught.value.code, caught.value.started, manager.asked) == ("unknown-agent", False, [])


@pytest.mark.parametrize("bound", ["timeout", "deadline"])
async def test_a_call_ends_with_its_timeout_or_the_tasks_deadline(client: HttpClient, bound: str) -> None:
    """Whichever comes first; nobody knows what became of the work."""

    async def never(_: Any) -> None:
        await asyncio.Event().wait()

    async with serving(never) as manager:
        deadline = asyncio.get_running_loop().time() + (0.1 if bound == "deadline" else 60)
        its = context(manager.url, client, deadline_at=deadline)
        with pytest.raises(AgentError) as caught:
            await its.call("executor", {}, timeout=0.1 if bound == "timeout" else None)
    assert (caught.value.code, caught.value.outcome) == ("task-timeout", "unknown")


async def test_an_answer_that_breaks_off_is_unknown(client: HttpClient) -> None:
    """It may have been executed."""

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        writer.close()

    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(AgentError) as caught:
            await context(url, client).call("executor", {})
    assert (caught.value.code, caught.value.outcome) == ("outcome-unknown", "unknown")


async def test_parameters_are_sent_as_json(client: HttpClient) -> None:
    """Whatever msgspec encodes."""
    async with serving(says(200, {"result": None})) as manager:
        assert await context(manager.url, client).call("executor", {"a": (1, None)}) is None
    assert manager.asked[0][3] == json.loads('{"parameters":{"a":[1,null]}}')
