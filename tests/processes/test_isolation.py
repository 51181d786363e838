"""An agent that blocks, crashes or is killed, in the process that its configuration gave it."""

import asyncio
import os
import secrets
import signal
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.adapter.isolation import ends_within
from tests.processes.isolated_adapter import Adapter, Manager, adapter, begin

HOLD_SECONDS = 3
BEAT_SECONDS = 0.2
TOKEN = secrets.token_hex()
DEAF = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('{"pid": %d}' % os.getpid(), file=__import__("sys").stderr, flush=True)
while True: time.sleep(60)
"""


async def slowest_answers(held: Adapter, execution: "asyncio.Task[httpx.Response]") -> dict[str, float]:
    """Probe until the task has ended; give the longest time that each route took, in seconds."""
    slowest = {"/health": 0.0, "/status": 0.0}
    while not execution.done():
        for route, longest in slowest.items():
            began = time.monotonic()
            assert (await held.client.get(route)).status_code == 200
            slowest[route] = max(longest, time.monotonic() - began)
        await asyncio.wait([execution], timeout=0.05)
    return slowest


async def hold(folder: Path, isolation: str) -> tuple[dict[str, float], float]:
    """Run an agent that holds the interpreter; give the slowest answers and the longest silence of beats."""
    manager = Manager(BEAT_SECONDS)
    async with (
        manager.listening() as url,
        adapter(folder, "hold", AGENT_ISOLATION=isolation, MANAGER_URL=url, HEARTBEAT_INTERVAL_SECONDS="0.2") as held,
    ):
        began = time.monotonic()
        execution = asyncio.create_task(held.execute(seconds=HOLD_SECONDS))
        slowest = await slowest_answers(held, execution)
        answer = await execution
        assert answer.status_code == 200
        assert answer.json()["durationSeconds"] >= HOLD_SECONDS
        return slowest, manager.longest_silence(began, time.monotonic())


async def test_an_isolated_agent_that_holds_the_interpreter_stops_nothing(tmp_path: Path) -> None:
    """/health, /status and the beats go on while agent code holds its interpreter for seconds."""
    slowest, silence = await hold(tmp_path, "process")
    assert max(slowest.values()) < 1
    assert silence < 1


async def test_by_default_an_agent_that_holds_the_interpreter_stops_the_adapter(tmp_path: Path) -> None:
    """What isolation is for: in the adapter's own process nothing is answered until the code lets go."""
    slowest, silence = await hold(tmp_path, "thread")
    assert max(slowest.values()) > HOLD_SECONDS - 1
    assert silence > HOLD_SECONDS - 1


async def test_an_isolated_agent_is_described_and_refuses_as_any_other(tmp_path: Path) -> None:
    """The schema and the refusal of parameters come from the child."""
    async with adapter(tmp_path, "greet") as greeter:
        info = (await greeter.client.get("/info")).json()
        refused = await greeter.execute(name=3)
        assert await greeter.result(name="Ada") == "hello Ada"
    assert info["parametersSchema"]["required"] == ["name"]
    assert info["capabilities"] == {"streaming": False, "cancel": True}
    assert (refused.status_code, refused.json()["code"]) == (422, "bad-parameters")
    assert refused.json()["field"] == "parameters.name"


async def test_what_an_isolated_agent_prints_is_in_the_log_with_its_task(tmp_path: Path) -> None:
    """The line is the adapter's own: instance, agent and task."""
    async with adapter(tmp_path, "speak") as speaker:
        answer = await speaker.execute()
        line = await speaker.logged("printed line")
    assert (line["agent"], line["logger"], line["task_id"]) == ("isolated", "print", answer.headers["x-task-id"])


async def test_an_isolated_agent_does_not_see_the_managers_token(tmp_path: Path) -> None:
    """Nor any other secret of the adapter; what the adapter answers to the child's calls is all it gets."""
    async with adapter(tmp_path, "variables", MANAGER_TOKEN=TOKEN, MY_OWN="1") as reader:
        reader.client.headers["x-manager-token"] = TOKEN
        names = await reader.result()
    assert "MY_OWN" in names
    assert "MANAGER_TOKEN" not in names


async def test_a_killed_child_fails_its_task_and_the_next_call_succeeds(tmp_path: Path) -> None:
    """The caller gets 500 `agent-crashed` at once; the restart is counted."""
    async with adapter(tmp_path, "stay") as agent:
        child = await agent.result()
        execution = asyncio.create_task(agent.execute(forever=True))
        await agent.begun()
        os.kill(child, signal.SIGKILL)
        answer = await execution
        assert (answer.status_code, answer.json()["code"]) == (500, "agent-crashed")
        assert await agent.result() != child
        assert (await agent.client.get("/ready")).status_code == 200
        assert "agent_child_restarts_total 1.0" in (await agent.client.get("/metrics")).text


async def test_sigterm_lets_an_isolated_task_finish(tmp_path: Path) -> None:
    """The drain waits for the child's work, then the child is closed and the adapter exits 0."""
    async with adapter(tmp_path, "hold") as agent:
        child = await agent.result()
        execution = asyncio.create_task(agent.execute(seconds=1))
        await agent.begun()
        agent.send(signal.SIGTERM)
        answer = await execution
        assert (answer.status_code, answer.json()["result"]) == (200, child)
        assert await agent.exit_code() == 0
        assert ends_within(child, 1)


async def test_a_deadline_ends_what_holds_the_interpreter(tmp_path: Path) -> None:
    """The caller gets his 503, and the adapter has left two seconds after the deadline."""
    async with adapter(tmp_path, "hold", DRAIN_TIMEOUT_SECONDS="0.5") as agent:
        execution = asyncio.create_task(agent.execute(seconds=60))
        await agent.begun()
        ordered = time.monotonic()
        agent.send(signal.SIGTERM)
        answer = await execution
        assert (answer.status_code, answer.json()["code"]) == (503, "drain-timeout")
        assert await agent.exit_code() == 0
        assert time.monotonic() - ordered < 0.5 + 2


async def test_a_restart_brings_a_new_child(tmp_path: Path) -> None:
    """The adapter keeps its process id; the old child has ended before the new adapter starts its own."""
    async with adapter(tmp_path, "stay") as agent:
        child = await agent.result()
        await agent.client.post("/action", json={"action": "restart"})
        await agent.logged("up", times=2)
        port = (await agent.logged("listening", times=2))["port"]
        agent.client.base_url = httpx.URL(f"http://127.0.0.1:{port}")
        assert await agent.result() != child
        assert ends_within(child, 1)


async def test_an_isolated_agent_never_outlives_an_adapter_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves the adapter no word; its child goes all the same, while it holds its interpreter."""
    async with adapter(tmp_path, "hold") as agent:
        child = await agent.result()
        execution = asyncio.create_task(agent.execute(seconds=60))
        await agent.begun()
        agent.send(signal.SIGKILL)
        assert await asyncio.to_thread(ends_within, child, 3)
        with pytest.raises(httpx.HTTPError):
            await execution


async def test_a_command_never_outlives_an_adapter_that_is_killed(tmp_path: Path) -> None:
    """Not even one that reads nothing and ignores SIGTERM."""
    async with adapter(tmp_path, "", sys.executable, "-c", DEAF) as agent:
        while not (words := [line["message"] for line in agent.lines if '"pid"' in line["message"]]):
            await agent.client.get("/health")
        child = int(words[0].strip('{}"pid: '))
        agent.send(signal.SIGKILL)
        assert await asyncio.to_thread(ends_within, child, 3)


async def test_an_isolated_agent_that_cannot_be_imported_ends_the_start(tmp_path: Path) -> None:
    """The adapter says the import's own error and exits 1."""
    agent = await begin(tmp_path, "nowhere")
    line = await agent.logged("cannot start")
    reasons = [line.get("reason", "") for line in agent.lines if line["message"] == "cannot start"]
    assert await agent.exit_code() == 1
    await agent.close()
    assert "AttributeError" in str(reasons) + str(line)
