"""`POST /execute`: results, failures, whose mistake it was, and what stays when the caller leaves."""

import asyncio
import json
from typing import Any

import pytest
from agent_contract.identity import is_uuid, new_id

from tests.adapter.conftest import StartAdapter
from tests.adapter.running_adapter import PATIENCE_SECONDS
from tests.adapter.sample_agents import Gate


async def test_a_result_comes_with_its_task_and_duration(start: StartAdapter) -> None:
    """200 with exactly these members, and the task's id in the header too."""
    adapter = await start()
    answer = await adapter.execute({"a": [1, {"b": None}]})
    body = answer.json()
    assert (answer.status_code, body["result"], sorted(body)) == (
        200,
        {"a": [1, {"b": None}]},
        ["durationSeconds", "result", "taskId"],
    )
    assert answer.headers["X-Task-Id"] == body["taskId"]
    assert is_uuid(body["taskId"])
    assert 0 <= body["durationSeconds"] < PATIENCE_SECONDS


async def test_a_task_id_that_is_given_is_taken(start: StartAdapter) -> None:
    """The manager names tasks; what is no UUID, or known already, is replaced."""
    adapter = await start()
    given = new_id()
    first, second, third = [await adapter.execute({}, x_task_id=name) for name in (given, given, "mine")]
    assert first.json()["taskId"] == given
    assert is_uuid(second.json()["taskId"])
    assert second.json()["taskId"] != given
    assert is_uuid(third.json()["taskId"])


@pytest.mark.parametrize(
    ("kind", "words", "said"),
    [
        ("value", ["wrong", 1], "ValueError: ('wrong', 1)"),
        ("value", [], "ValueError"),
        ("exit", [3], "SystemExit: 3"),
        ("cancel", [], "CancelledError"),
        ("interrupt", [], "KeyboardInterrupt"),
    ],
)
async def test_whatever_an_agent_raises_is_its_failure(
    start: StartAdapter, kind: str, words: list[Any], said: str
) -> None:
    """500 with type and message, the task off the table, and the adapter goes on: the earlier system kept the task."""
    adapter = await start("failing")
    for _ in range(2):
        answer = await adapter.execute({"kind": kind, "words": words})
        assert (answer.status_code, answer.json()["code"], answer.json()["detail"]) == (500, "agent-failed", said)
        assert "Traceback" not in answer.text
    assert (await adapter.client.get("/status")).json()["current_task"] is None
    assert adapter.table.idle


@pytest.mark.parametrize(
    ("kind", "said"),
    [("value", "ValueError: x"), ("exit", "SystemExit: x"), ("stop", "RuntimeError: StopIteration: x")],
)
async def test_whatever_a_thread_raises_is_its_failure(start: StartAdapter, kind: str, said: str) -> None:
    """The same where the code is not async."""
    adapter = await start("failing_in_thread")
    answer = await adapter.execute({"kind": kind, "words": ["x"]})
    assert (answer.status_code, answer.json()["detail"]) == (500, said)


@pytest.mark.parametrize("field", [None, "parameters.limit"])
async def test_an_agent_can_blame_its_caller(start: StartAdapter, field: str | None) -> None:
    """`context.reject` is 422 with the field that it named."""
    adapter = await start("rejecting")
    answer = await adapter.execute({"field": field})
    body = answer.json()
    assert (answer.status_code, body["code"], body["detail"], body.get("field")) == (
        422,
        "bad-parameters",
        "too many",
        field,
    )


async def test_parameters_against_the_annotation_are_the_callers_mistake(start: StartAdapter) -> None:
    """422 with the path of the member, and no task was begun."""
    adapter = await start("typed")
    assert (await adapter.execute({"text": "a", "times": 2})).json()["result"] == {"text": "a", "times": 2}
    missing, wrong = await adapter.execute({}), await adapter.execute({"text": "a", "times": "2"})
    assert [(each.status_code, each.json()["code"], each.json()["field"]) for each in (missing, wrong)] == [
        (422, "bad-parameters", "parameters.text"),
        (422, "bad-parameters", "parameters.times"),
    ]
    assert is_uuid(missing.headers["X-Task-Id"])


async def test_a_result_without_a_json_form_is_the_agents_failure(start: StartAdapter) -> None:
    """500, said in words."""
    answer = await (await start("unencodable")).execute()
    assert (answer.status_code, answer.json()["code"]) == (500, "agent-failed")
    assert "object" in answer.json()["detail"]


async def test_a_result_over_10_mib_is_too_large(start: StartAdapter) -> None:
    """One within the limit passes whole."""
    adapter = await start("large")
    most = 10 * 1024 * 1024 - 2
    assert len((await adapter.execute({"characters": most})).json()["result"]) == most
    answer = await adapter.execute({"characters": most + 1})
    assert (answer.status_code, answer.json()["code"]) == (500, "result-too-large")


async def test_a_task_that_takes_too_long_is_cut(start: StartAdapter) -> None:
    """504; the code is cancelled, also code that does not end, and the slot is free again."""
    adapter = await start("gated", process={"AGENT_TASK_TIMEOUT_SECONDS": "0.05"})
    answer = await adapter.execute()
    assert (answer.status_code, answer.json()["code"]) == (504, "task-timeout")
    assert (answer.json()["started"], answer.json()["outcome"]) == (True, "cancelled")
    await asyncio.wait_for(Gate.left.wait(), PATIENCE_SECONDS)
    assert adapter.table.idle


async def test_code_that_ignores_its_cancellation_holds_nothing(start: StartAdapter) -> None:
    """The caller has its answer, the slot is free, and what comes late is dropped."""
    adapter = await start("stubborn", process={"AGENT_TASK_TIMEOUT_SECONDS": "0.05"})
    assert (await adapter.execute()).status_code == 504
    assert adapter.table.idle
    Gate.opened.set()
    await asyncio.wait_for(Gate.left.wait(), PATIENCE_SECONDS)
    assert [task.outcome for task in adapter.table.ended] == ["timeout"]


async def test_at_most_so_many_run_and_the_rest_wait_in_order(start: StartAdapter) -> None:
    """Two run, one waits, the next gets 503 with a `Retry-After`; then all finish in the order of arrival."""
    adapter = await start("gated", process={"AGENT_MAX_CONCURRENCY": "2", "AGENT_MAX_QUEUE": "1"})
    calls = []
    for number in range(3):
        calls.append(asyncio.create_task(adapter.execute({"number": number})))
        await adapter.in_hand(min(number + 1, 2), max(0, number - 1))
    refused = await adapter.execute()
    body = refused.json()
    assert (refused.status_code, body["code"], body["started"]) == (503, "at-capacity", False)
    assert refused.headers["X-Agent-Refused"] == "at-capacity"
    assert int(refused.headers["Retry-After"]) >= 1
    Gate.opened.set()
    assert [answer.json()["result"]["number"] for answer in await asyncio.gather(*calls)] == [0, 1, 2]


async def test_a_caller_that_leaves_takes_nothing_with_it(start: StartAdapter) -> None:
    """Its task goes on, the result can be asked for by the task's id, and would be handed over."""
    adapter = await start("gated")
    task_id = new_id()
    call = await adapter.post({"a": 1}, f"X-Task-Id: {task_id}")
    await adapter.in_hand(1)
    await call.leave()
    await adapter.client.get("/health")  # by then the server has met the end of the other connection
    Gate.opened.set()
    await adapter.in_hand(0)
    assert [task.task_id for task in adapter.instance.adapter.views.unfetched()] == [task_id]
    assert (await adapter.client.get(f"/tasks/{task_id}")).json()["result"] == {"a": 1}
    assert adapter.instance.adapter.views.unfetched() == []


async def test_an_answered_caller_has_fetched_its_result(start: StartAdapter) -> None:
    """It is not handed over again; one with a key is, for the key may come again."""
    adapter = await start()
    await adapter.execute()
    assert adapter.instance.adapter.views.unfetched() == []
    await adapter.execute(idempotency_key="k")
    assert [task.key for task in adapter.instance.adapter.views.unfetched()] == ["k"]


async def test_two_calls_on_one_connection_are_answered_in_order(start: StartAdapter) -> None:
    """HTTP pipelining: the second waits for the first."""
    adapter = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", adapter.port)
    for number in range(2):
        body = json.dumps({"parameters": {"number": number}}).encode()
        writer.write(f"POST /execute HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    found = []
    for _ in range(2):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        found.append(json.loads(await reader.readexactly(length))["result"]["number"])
    assert found == [0, 1]
    writer.close()
    await writer.wait_closed()
