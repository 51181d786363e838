"""A drain seen and steered over HTTP, and what its callers get."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from agent_adapter.supervisor import Ending
from agent_contract.serving import Server

from tests.adapter.conftest import StartAdapter
from tests.adapter.running_adapter import PATIENCE_SECONDS, OpenCall, RunningAdapter
from tests.adapter.sample_agents import Gate


async def order(adapter: RunningAdapter, action: str, **members: Any) -> Any:
    """Order something; gives the new status."""
    answer = await adapter.client.post("/action", json={"action": action, **members})
    assert answer.status_code == 202
    return answer.json()


async def busy(start: StartAdapter, **process: str) -> tuple[RunningAdapter, OpenCall]:
    """Give an adapter with one task at the gate."""
    adapter = await start("gated", process=process)
    call = await adapter.post({"n": 0})
    await adapter.in_hand(1)
    await asyncio.wait_for(Gate.entered.wait(), PATIENCE_SECONDS)
    return adapter, call


async def test_the_answer_to_a_stop_already_says_stopping(start: StartAdapter) -> None:
    """With the drain, and with `Connection: close`; the process waits for its work."""
    adapter, call = await busy(start)
    status = await order(adapter, "stop", timeoutSeconds=60)
    drain = status["drain"]
    assert (status["status"], drain["reason"], drain["safeToDelete"]) == ("stopping", "stop", False)
    assert 59 < drain["remainingSeconds"] <= 60
    lasting = datetime.fromisoformat(drain["deadline"]) - datetime.fromisoformat(drain["since"])
    assert lasting.total_seconds() == pytest.approx(60, abs=0.001)
    Gate.opened.set()
    assert (await call.answer())[0] == 200
    assert await adapter.ended() is Ending.STOPPED


async def test_every_answer_from_the_order_on_closes_its_connection(start: StartAdapter) -> None:
    """Also the order's own; called off, connections are kept again."""
    adapter, call = await busy(start)
    async with adapter.client.stream("GET", "/status") as before:
        assert before.headers.get("connection") != "close"
    answer = await adapter.client.post("/action", json={"action": "stop"})
    assert answer.headers["connection"] == "close"
    for path in ("/health", "/status", "/drain", "/nothing"):
        assert (await adapter.client.get(path)).headers["connection"] == "close"
    assert (await adapter.execute()).headers["connection"] == "close"
    assert "connection" not in (await adapter.client.delete("/drain")).headers
    assert "connection" not in (await adapter.client.get("/health")).headers
    Gate.opened.set()
    await call.answer()


async def test_during_a_drain_it_is_alive_and_not_ready(start: StartAdapter) -> None:
    """/health 200, /ready 503, /execute 409 with proof that nothing began, pause and resume 409."""
    adapter, call = await busy(start)
    await order(adapter, "stop")
    assert (await adapter.client.get("/health")).status_code == 200
    assert (await adapter.client.get("/ready")).status_code == 503
    refused = await adapter.execute()
    assert (refused.status_code, refused.json()["code"], refused.json()["started"]) == (409, "stopping", False)
    assert (refused.headers["X-Agent-Refused"], int(refused.headers["Retry-After"]) >= 1) == ("stopping", True)
    for action in ("pause", "resume"):
        answer = await adapter.client.post("/action", json={"action": action})
        assert (answer.status_code, answer.json()["code"]) == (409, "stopping")
    Gate.opened.set()
    await call.answer()


async def test_the_order_to_stop_refuses_who_waits(start: StartAdapter) -> None:
    """A queued caller gets the 409 at once; a task answered with 202 is work in hand, blocks, and runs."""
    adapter, call = await busy(start)
    waiting = await adapter.post({"n": 1})
    await adapter.in_hand(1, 1)
    accepted = (await adapter.execute({"n": 2}, prefer="respond-async")).json()["taskId"]
    status = await order(adapter, "stop")
    assert status["queued"] == 1
    assert [blocker["taskId"] for blocker in status["drain"]["blockers"]] == [status["current_task"], accepted]
    code, body = await waiting.answer()
    assert (code, body["code"], body["started"]) == (409, "stopping", False)
    Gate.opened.set()
    assert (await call.answer())[1]["result"] == {"n": 0}
    await adapter.ended()
    found = {task.task_id: task.outcome for task in adapter.table.ended}
    assert found[accepted] == "succeeded"
    assert len(found) == 2


async def test_at_the_deadline_what_is_left_is_cut(start: StartAdapter) -> None:
    """503 `drain-timeout`, interrupted, before the connection closes; a queued async one was not started."""
    adapter, call = await busy(start)
    accepted = (await adapter.execute({}, prefer="respond-async")).json()["taskId"]
    await order(adapter, "stop", timeoutSeconds=0.05)
    code, body = await call.answer()
    assert (code, body["code"], body["started"], body["outcome"]) == (503, "drain-timeout", True, "interrupted")
    assert await adapter.ended() is Ending.STOPPED
    queued = adapter.table.find(accepted)
    assert queued is not None
    assert queued.problem is not None
    assert (queued.state, queued.problem.code, queued.problem.extra) == ("failed", "drain-timeout", {"started": False})


async def test_without_a_drain_it_says_what_would_hold_one(start: StartAdapter) -> None:
    """`safeToDelete` is whether no task runs or waits; steering is 409."""
    adapter = await start("gated")
    assert (await adapter.client.get("/drain")).json() == {"reason": None, "safeToDelete": True, "blockers": []}
    call = await adapter.post({})
    await adapter.in_hand(1)
    drain = (await adapter.client.get("/drain")).json()
    assert (drain["reason"], drain["safeToDelete"], len(drain["blockers"])) == (None, False, 1)
    for answer in (
        await adapter.client.delete("/drain"),
        await adapter.client.patch("/drain", json={"timeoutSeconds": 1}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "not-draining")
    Gate.opened.set()
    await call.answer()


async def test_a_blocker_is_seen_and_can_be_cut(start: StartAdapter) -> None:
    """Age, estimate, progress and caller; one cancelled, the drain is over."""
    adapter = await start("gated")
    adapter.table.history.add(100.0)
    call = await adapter.post({}, "X-Agent-Caller: ci")
    await adapter.in_hand(1)
    await asyncio.wait_for(Gate.entered.wait(), PATIENCE_SECONDS)
    drain = (await order(adapter, "restart"))["drain"]
    blocker = drain["blockers"][0]
    assert (blocker["caller"], blocker["progress"]["message"]) == ("ci", "at the gate")
    assert blocker["etaSeconds"] == pytest.approx(100 - blocker["ageSeconds"], abs=0.01)
    assert drain["etaSeconds"] == pytest.approx(blocker["etaSeconds"], abs=0.01)
    assert (await adapter.client.delete(f"/tasks/{blocker['taskId']}")).status_code == 202
    assert (await call.answer())[1]["code"] == "agent-cancelled"
    assert await adapter.ended() is Ending.RESTART


async def test_the_deadline_can_be_moved(start: StartAdapter) -> None:
    """Extended and hurried; 200 with the drain."""
    adapter, call = await busy(start)
    await order(adapter, "stop", timeoutSeconds=0.5)
    answer = await adapter.client.patch("/drain", json={"timeoutSeconds": 300})
    assert (answer.status_code, answer.json()["remainingSeconds"] > 299) == (200, True)
    await adapter.client.patch("/drain", json={"timeoutSeconds": 0})
    assert (await call.answer())[1]["code"] == "drain-timeout"
    await adapter.ended()


async def test_a_drain_called_off_goes_on_as_before(start: StartAdapter) -> None:
    """New work is taken, the running task finishes, nobody exits."""
    adapter, call = await busy(start)
    await order(adapter, "stop")
    answer = await adapter.client.delete("/drain")
    assert (answer.status_code, answer.json()["reason"]) == (200, None)
    assert (await adapter.client.get("/status")).json()["status"] == "running"
    other = await adapter.post({"n": 1})
    await adapter.in_hand(1, 1)
    Gate.opened.set()
    assert [(await each.answer())[0] for each in (call, other)] == [200, 200]
    assert not adapter.life.done()


async def test_a_signal_is_neither_called_off_nor_extended_over_the_grace(start: StartAdapter) -> None:
    """409 `signalled`; 409 `over-grace` says how much the platform still grants."""
    adapter, call = await busy(start, TERMINATION_GRACE_SECONDS="20")
    adapter.lifecycle.leave("signal")
    assert (await adapter.client.delete("/drain")).json()["code"] == "signalled"
    answer = await adapter.client.patch("/drain", json={"timeoutSeconds": 60})
    assert (answer.status_code, answer.json()["code"]) == (409, "over-grace")
    assert 16 < answer.json()["maxTimeoutSeconds"] <= 17
    assert (await adapter.client.get("/drain")).json()["remainingSeconds"] <= 17
    Gate.opened.set()
    await call.answer()


async def test_orders_that_meet(start: StartAdapter) -> None:
    """A stop during a restart makes it a stop; a restart during a stop moves only the deadline."""
    adapter, call = await busy(start)
    assert (await order(adapter, "restart"))["drain"]["reason"] == "restart"
    assert (await order(adapter, "stop"))["drain"]["reason"] == "stop"
    status = await order(adapter, "restart", timeoutSeconds=300)
    assert (status["drain"]["reason"], status["drain"]["remainingSeconds"] > 299) == ("stop", True)
    adapter.lifecycle.leave("signal")
    drain = (await adapter.client.get("/drain")).json()
    assert (drain["reason"], drain["remainingSeconds"] <= 30) == ("signal", True)
    Gate.opened.set()
    await call.answer()
    assert await adapter.ended() is Ending.STOPPED


async def test_new_work_is_taken_in_the_quiet_period(start: StartAdapter) -> None:
    """After a signal only: not ready, and yet callers whose view lags lose nothing."""
    adapter, call = await busy(start, AGENT_QUIET_SECONDS="0.2")
    adapter.lifecycle.leave("signal")
    assert (await adapter.client.get("/ready")).status_code == 503
    late = await adapter.post({"n": 1})
    await adapter.in_hand(1, 1)
    Gate.opened.set()
    assert [(await each.answer())[0] for each in (call, late)] == [200, 200]
    idle = (await adapter.client.get("/drain")).json()
    assert (idle["safeToDelete"], idle["blockers"]) == (False, [])
    await adapter.ended()


async def test_a_stop_behind_a_restart_answers_who_waits_for_the_next_life(
    start: StartAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There will be none: the connections in the backlog get their 409 from this one."""
    adapter = await start()
    _, hanging = await asyncio.open_connection("127.0.0.1", adapter.port)
    hanging.write(b"POST /execute HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
    await adapter.client.get("/health")
    detached = asyncio.Event()

    def detach_all(server: Server) -> list[int]:
        detached.set()
        return original(server)

    original = Server.detach_all
    monkeypatch.setattr(Server, "detach_all", detach_all)
    adapter.lifecycle.act("restart")
    await asyncio.wait_for(detached.wait(), PATIENCE_SECONDS)
    waiting = [await adapter.post({}) for _ in range(3)]
    adapter.lifecycle.leave("signal")
    for call in waiting:
        status, body = await call.answer()
        assert (status, body["code"]) == (409, "stopping")
    assert await adapter.ended() is Ending.STOPPED
    hanging.close()


async def test_leaving_answers_what_has_begun_to_arrive(start: StartAdapter) -> None:
    """A request of which a byte is there is answered; one that does not come whole holds a second, no longer."""
    adapter = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", adapter.port)
    writer.write(b"GET /health HTTP/1.1\r\n")
    hanging_reader, hanging = await asyncio.open_connection("127.0.0.1", adapter.port)
    hanging.write(b"POST /execute HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
    await adapter.client.get("/health")
    adapter.lifecycle.act("stop")
    await adapter.until(lambda: adapter.lifecycle.leaving)
    began = asyncio.get_running_loop().time()
    writer.write(b"Host: a\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    assert b" 408 " in (await hanging_reader.read()).partition(b"\r\n")[0]
    await adapter.ended()
    assert asyncio.get_running_loop().time() - began < 1.7
    for each in (writer, hanging):
        each.close()
