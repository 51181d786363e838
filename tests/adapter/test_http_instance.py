"""What an instance says of itself, the orders that it takes, and what is no route."""

import asyncio
from typing import Any

import pytest
from agent_adapter.supervisor import Ending
from agent_contract import __version__
from agent_contract.identity import is_uuid

from tests.adapter.conftest import StartAdapter
from tests.adapter.running_adapter import PATIENCE_SECONDS, RunningAdapter
from tests.adapter.sample_agents import Gate


async def act(adapter: RunningAdapter, **order: Any) -> Any:
    """Give status and body of an order's answer."""
    answer = await adapter.client.post("/action", json=order)
    return answer.status_code, answer.json()


async def test_health_and_readiness(start: StartAdapter) -> None:
    """Liveness is 200 as long as the event loop turns; readiness says whether it takes work."""
    adapter = await start()
    health, ready = await adapter.client.get("/health"), await adapter.client.get("/ready")
    assert (health.status_code, health.json(), ready.status_code) == (200, {"status": "ok"}, 200)
    adapter.lifecycle.act("pause")
    assert (await adapter.client.get("/health")).status_code == 200
    assert (await adapter.client.get("/ready")).status_code == 503


async def test_info_says_who_it_is(start: StartAdapter) -> None:
    """What the configuration says, what the annotation says, and null for what nobody said."""
    adapter = await start("typed", name="Sample", version="1.2", metadata={"team": "a"})
    info = (await adapter.client.get("/info")).json()
    assert is_uuid(info.pop("instanceId"))
    assert info.pop("startedAt").endswith("Z")
    assert info.pop("parametersSchema")["required"] == ["text"]
    assert info == {
        "id": "sample",
        "name": "Sample",
        "description": None,
        "version": "1.2",
        "defaultModel": None,
        "metadata": {"team": "a"},
        "adapterVersion": __version__,
        "capabilities": {"streaming": False, "cancel": True},
    }


async def test_info_says_that_a_generator_streams(start: StartAdapter) -> None:
    """So that a caller knows what it may ask for."""
    for entry_point in ("streamed", "counted"):
        adapter = await start(entry_point)
        assert (await adapter.client.get("/info")).json()["capabilities"]["streaming"] is True


async def test_status_of_an_idle_instance(start: StartAdapter) -> None:
    """Exactly these members."""
    status = (await (await start()).client.get("/status")).json()
    assert is_uuid(status.pop("instanceId"))
    assert status.pop("since").endswith("Z")
    assert status == {
        "status": "running",
        "current_task": None,
        "tasks": [],
        "queued": 0,
        "maxConcurrency": 1,
        "drain": None,
        "problem": None,
    }


async def test_status_shows_every_task_that_runs(start: StartAdapter) -> None:
    """All of them, the oldest as `current_task`, with deadline, caller and progress; once there was one slot."""
    adapter = await start("gated", process={"AGENT_MAX_CONCURRENCY": "2", "AGENT_TASK_TIMEOUT_SECONDS": "60"})
    calls = [await adapter.post({}, "X-Agent-Caller: first")]
    await adapter.in_hand(1)
    calls += [await adapter.post({}) for _ in range(2)]
    await adapter.in_hand(2, 1)
    await asyncio.wait_for(Gate.entered.wait(), PATIENCE_SECONDS)
    status = (await adapter.client.get("/status")).json()
    first, second = status["tasks"]
    assert (status["current_task"], status["queued"]) == (first["taskId"], 1)
    assert (first["caller"], second["caller"]) == ("first", None)
    assert first["progress"] == {"fraction": 0.5, "message": "at the gate"}
    assert first["startedAt"] <= second["startedAt"] < first["deadline"]
    assert 0 <= first["ageSeconds"] < PATIENCE_SECONDS
    Gate.opened.set()
    assert [(await call.answer())[0] for call in calls] == [200, 200, 200]


async def test_times_are_the_same_each_time(start: StartAdapter) -> None:
    """A reader that compares two answers sees a change only where one was."""
    adapter = await start("gated")
    call = await adapter.post({})
    await adapter.in_hand(1)
    await act(adapter, action="stop")
    found = [(await adapter.client.get("/status")).json() for _ in range(5)]
    assert len({each["since"] for each in found}) == 1
    assert len({each["tasks"][0]["startedAt"] for each in found}) == 1
    assert {each["drain"]["since"] for each in found} == {found[0]["since"]}
    Gate.opened.set()
    await call.answer()


async def test_pause_and_resume(start: StartAdapter) -> None:
    """202 with the new status; work is refused in between, with proof that none began."""
    adapter = await start()
    for action, state in (("pause", "paused"), ("pause", "paused"), ("resume", "running"), ("resume", "running")):
        code, status = await act(adapter, action=action)
        assert (code, status["status"]) == (202, state)
    await act(adapter, action="pause")
    answer = await adapter.execute()
    body = answer.json()
    assert (answer.status_code, body["code"], body["started"]) == (409, "paused", False)
    assert answer.headers["X-Agent-Refused"] == "paused"
    assert int(answer.headers["Retry-After"]) >= 1


async def test_a_pause_lets_running_tasks_finish_and_holds_the_queue(start: StartAdapter) -> None:
    """What waits stays queued, and runs when the instance is resumed."""
    adapter = await start("gated")
    calls = [await adapter.post({"n": 0})]
    await adapter.in_hand(1)
    calls.append(await adapter.post({"n": 1}))
    await adapter.in_hand(1, 1)
    await act(adapter, action="pause")
    Gate.opened.set()
    assert (await calls[0].answer())[0] == 200
    await adapter.in_hand(0, 1)
    await act(adapter, action="resume")
    assert (await calls[1].answer())[1]["result"] == {"n": 1}


async def test_an_instance_that_starts_answers_and_refuses(start: StartAdapter) -> None:
    """Alive, not ready, 503 `starting` with proof that nothing began; a pause is kept until it is up."""
    adapter = await start("SlowStart", wait=False)
    assert (await adapter.client.get("/health")).status_code == 200
    assert (await adapter.client.get("/ready")).status_code == 503
    assert (await adapter.client.get("/status")).json()["status"] == "starting"
    answer = await adapter.execute()
    assert (answer.status_code, answer.json()["code"], answer.json()["started"]) == (503, "starting", False)
    assert (answer.headers["X-Agent-Refused"], answer.headers["Retry-After"]) == ("starting", "1")
    code, status = await act(adapter, action="pause")
    assert (code, status["status"]) == (202, "starting")
    Gate.opened.set()
    await adapter.until(lambda: adapter.lifecycle.state != "starting")
    assert adapter.lifecycle.state == "paused"


async def test_a_stop_while_starting_ends_it(start: StartAdapter) -> None:
    """It does not wait for a start that may last; `close()` of what never started is not called."""
    adapter = await start("SlowStart", wait=False)
    await asyncio.wait_for(Gate.entered.wait(), PATIENCE_SECONDS)
    code, status = await act(adapter, action="stop")
    assert (code, status["status"]) == (202, "stopping")
    assert await adapter.ended() is Ending.STOPPED
    assert not Gate.left.is_set()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/execute", "POST"),
        ("PUT", "/execute", "POST"),
        ("GET", "/action", "POST"),
        ("POST", "/status", "GET"),
        ("POST", "/health", "GET"),
        ("PUT", "/drain", "DELETE, GET, PATCH"),
        ("POST", "/tasks", "GET"),
        ("PATCH", "/tasks/x", "DELETE, GET"),
        ("DELETE", "/logs", "GET"),
        ("POST", "/metrics", "GET"),
    ],
)
async def test_a_wrong_method_is_405_with_those_that_are_right(
    start: StartAdapter, method: str, path: str, allowed: str
) -> None:
    """RFC 9110: `Allow` names them."""
    answer = await (await start()).client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    named = {each.strip() for each in answer.headers["Allow"].split(",")} - {"OPTIONS"}
    assert named == set(allowed.split(", "))


@pytest.mark.parametrize("path", ["/", "/nothing", "/execute/x", "/tasks/a/b", "/schema", "/%2e%2e/health", "//x"])
async def test_no_such_route_is_404(start: StartAdapter, path: str) -> None:
    """A problem as everywhere."""
    answer = await (await start()).client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("token", ["new", "old"])
async def test_a_token_opens_what_is_closed(start: StartAdapter, token: str) -> None:
    """All that are configured are accepted; probes and metrics need none."""
    adapter = await start(process={"MANAGER_TOKEN": "new,old"})
    routes = [("GET", "/info"), ("GET", "/status"), ("GET", "/drain"), ("GET", "/tasks"), ("GET", "/nothing")]
    routes += [("POST", "/execute"), ("POST", "/action"), ("PATCH", "/drain"), ("DELETE", "/drain"), ("GET", "/logs")]
    for method, path in routes:
        without = await adapter.client.request(method, path)
        wrong = await adapter.client.request(method, path, headers={"X-Manager-Token": "guess"})
        right = await adapter.client.request(method, path, headers={"X-Manager-Token": token})
        assert (without.status_code, without.json()["code"]) == (401, "unauthenticated"), path
        assert (wrong.status_code, wrong.json()["code"]) == (403, "forbidden"), path
        assert right.status_code not in (401, 403), path
    for path in ("/health", "/ready", "/metrics"):
        assert (await adapter.client.get(path)).status_code == 200
