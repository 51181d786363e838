"""The way out: the deadline is kept whatever hangs, callers are answered first, nothing is killed by anybody else."""

import asyncio
import json
import os
from pathlib import Path
from signal import SIGTERM
from time import monotonic

import httpx
import pytest

from tests.adapter.fake_manager import managing
from tests.processes.adapter_process import CODE, AdapterProcess, start
from tests.processes.conftest import Launch

SLACK_SECONDS = 2.0 + 1.0
"""What an adapter may take behind its deadline, and what a machine that is busy with other tests may add."""


async def begun(adapter: AdapterProcess, parameters: dict[str, object]) -> "asyncio.Task[tuple[int, str, object]]":
    """Begin a task; gives status, code and outcome of its answer when that is there."""

    async def call() -> tuple[int, str, object]:
        answer = await adapter.execute(parameters)
        body = answer.json()
        return answer.status_code, body.get("code", ""), body.get("outcome")

    before = adapter.begins
    calling = asyncio.create_task(call())
    await adapter.begun(before + 1)
    return calling


@pytest.mark.parametrize("entry_point", ["sample:work", "sample:stubborn", "sample:deaf", "child.py"])
async def test_a_task_longer_than_the_drain_is_cut(launch: Launch, entry_point: str) -> None:
    """F8: 503 `drain-timeout` before the socket closes, exit 0 within 2 s of the deadline, whatever the code does."""
    adapter = await launch(entry_point)
    call = await begun(adapter, {"seconds": 60, "mute": True})
    began = monotonic()
    await adapter.act("stop", timeoutSeconds=0.3)
    assert await call == (503, "drain-timeout", "interrupted")
    assert await adapter.exited() == 0
    assert 0.3 <= monotonic() - began < 0.3 + SLACK_SECONDS
    drained = await adapter.said("drained")
    assert (drained["cut"], drained["finished"]) == (1, 0)


async def test_a_close_that_hangs_is_left(launch: Launch, tmp_path: Path) -> None:
    """The agent's own `close()` has the time that the drain leaves, and no more."""
    adapter = await launch("sample:SlowClose")
    began = monotonic()
    await adapter.act("stop", timeoutSeconds=0)
    assert await adapter.exited() == 0
    assert monotonic() - began < SLACK_SECONDS
    assert (tmp_path / "notes").read_text().splitlines() == ["start", "exit handler"]


async def test_a_manager_that_hangs_is_left(launch: Launch) -> None:
    """It takes the connection and says nothing: the last words are bounded, the callers are answered."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with managing() as manager:
        port = manager.port
        adapter = await launch("sample:work", MANAGER_URL=manager.url)
        await manager.told("heartbeat")
    async with await asyncio.start_server(silent, "127.0.0.1", port):
        call = await begun(adapter, {"seconds": 60})
        began = monotonic()
        await adapter.act("stop", timeoutSeconds=0)
        assert await call == (503, "drain-timeout", "interrupted")
        assert await adapter.exited() == 0
        assert monotonic() - began < SLACK_SECONDS


async def test_the_platforms_grace_is_not_overdrawn(launch: Launch) -> None:
    """After a signal the deadline lies 3 s before the kill, whatever was configured; it cannot be moved behind that."""
    adapter = await launch(TERMINATION_GRACE_SECONDS="3.3", AGENT_DRAIN_TIMEOUT_SECONDS="600")
    call = await begun(adapter, {"seconds": 60})
    began = monotonic()
    adapter.send(SIGTERM)
    await adapter.said("state changed", lambda line: line["state"] == "stopping")
    answer = await adapter.client.patch("/drain", json={"timeoutSeconds": 60})
    assert (answer.status_code, answer.json()["code"]) == (409, "over-grace")
    assert answer.json()["maxTimeoutSeconds"] <= 0.3
    assert (await adapter.client.delete("/drain")).json()["code"] == "signalled"
    assert await call == (503, "drain-timeout", "interrupted")
    assert await adapter.exited() == 0
    assert monotonic() - began < 3.3


async def test_new_work_is_taken_in_the_quiet_period(launch: Launch) -> None:
    """After a signal: not ready and yet serving, so that callers whose view lags lose nothing; then it goes."""
    adapter = await launch(AGENT_QUIET_SECONDS="0.5")
    began = monotonic()
    adapter.send(SIGTERM)
    await adapter.said("state changed", lambda line: line["state"] == "stopping")
    assert (await adapter.client.get("/ready")).status_code == 503
    assert (await adapter.execute({"a": 1})).status_code == 200
    assert await adapter.exited() == 0
    assert 0.5 <= monotonic() - began < 0.5 + SLACK_SECONDS


async def test_a_drain_is_steered(launch: Launch) -> None:
    """Extended past its deadline, called off, ordered again, hurried."""
    adapter = await launch()
    call = await begun(adapter, {"seconds": 1})
    await adapter.act("stop", timeoutSeconds=0.4)
    moved = await adapter.client.patch("/drain", json={"timeoutSeconds": 30})
    assert (moved.status_code, 29 < moved.json()["remainingSeconds"] <= 30) == (200, True)
    assert await call == (200, "", None)
    assert await adapter.exited() == 0


async def test_a_drain_is_called_off(launch: Launch) -> None:
    """The process lives on behind its deadline, and takes work."""
    adapter = await launch()
    call = await begun(adapter, {"seconds": 0.3})
    await adapter.act("restart", timeoutSeconds=0.1)
    assert (await adapter.client.delete("/drain")).json()["reason"] is None
    assert await call == (200, "", None)
    assert (await adapter.execute({"a": 1})).status_code == 200
    assert (await adapter.status())["status"] == "running"


async def test_accepted_work_finishes_before_it_leaves(launch: Launch) -> None:
    """What was answered with 202 blocks the drain, queued too, and is handed over before the last word."""
    async with managing() as manager:
        adapter = await launch(MANAGER_URL=manager.url)
        for number in range(2):
            await adapter.execute({"seconds": 0.2, "number": number}, prefer="respond-async")
        drain = (await adapter.act("stop"))["drain"]
        assert len(drain["blockers"]) == 2
        assert await adapter.exited() == 0
        handed = {route: word for route, word in manager.said if route in ("results", "unregister")}
        assert list(handed) == ["results", "unregister"]
        assert [each["result"]["number"] for each in handed["results"]["results"]] == [0, 1]
        assert handed["unregister"]["drain"]["finishedTasks"] == 2


async def test_a_log_that_nobody_reads_holds_nobody(tmp_path: Path) -> None:
    """Its pipe is full: work goes on, and the process leaves in time."""
    ours, its = os.pipe()
    arguments = ["--agent", "sample", "--host", "127.0.0.1", "--port", "0", "--entry-point", "sample:speak"]
    adapter = await start(tmp_path, *arguments, environment={"AGENT_WORKING_DIRECTORY": str(CODE)}, stdout=its)
    os.close(its)
    with os.fdopen(ours, "rb") as log:
        try:
            first = json.loads(await asyncio.to_thread(log.readline))
            await asyncio.to_thread(log.readline)  # it is up; from now on nobody reads
            adapter.client.base_url = httpx.URL(f"http://127.0.0.1:{first['port']}")
            for _ in range(4):
                assert (await adapter.execute({"word": "x" * 60_000})).status_code == 200
            began = monotonic()
            adapter.send(SIGTERM)
            assert await adapter.exited() == 0
            assert monotonic() - began < SLACK_SECONDS
        finally:
            await adapter.end()


async def test_no_child_is_left_behind(launch: Launch) -> None:
    """A command's process ends with the adapter, also one that hangs."""
    adapter = await launch("child.py")
    pid = (await adapter.execute()).json()["result"]["pid"]
    call = await begun(adapter, {"seconds": 60})
    await adapter.act("stop", timeoutSeconds=0)
    assert (await call)[1] == "drain-timeout"
    assert await adapter.exited() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
