"""The process `agent-manager` leaves: at once when it is idle, and with every call answered when it is not."""

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.manager.fake_adapter import Call, fake_adapter
from tests.manager.manager_process import manager
from tests.manager.manager_rig import ALL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_manager_leaves_at_once(tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 0, within a quarter of a second, its log whole on both sides."""
    async with manager(tmp_path) as running:
        assert (await running.client.get("/ready")).status_code == 200
        ordered = running.signal(number)
        assert await running.left() == 0
        assert time.monotonic() - ordered < 0.25
    assert [line["message"] for line in running.lines][-2:] == ["leaving", "left"]
    written = (tmp_path / "logs" / "agent-manager.log").read_text().splitlines()
    assert [json.loads(line) for line in written] == running.lines


async def test_forwards_finish_and_nothing_new_is_held(tmp_path: Path) -> None:
    """The call in hand is answered, the held one gets its 503, readiness is gone, the exit code is 0."""
    release = asyncio.Event()

    async def wait(call: Call) -> None:
        await release.wait()
        await call.answer("finished")

    async with manager(tmp_path) as running, fake_adapter("echo") as busy, fake_adapter("other") as starting:
        busy.execute = wait
        starting.state = "starting"
        for adapter in (busy, starting):
            await running.register(adapter)
        beat = {"id": "other", "instanceId": starting.instance_id, "status": "starting"}
        await running.client.post(f"{ALL}/heartbeat", json=beat)
        in_hand = asyncio.create_task(running.client.post(f"{ALL}/echo/execute", json={"parameters": {}}))
        held = asyncio.create_task(running.client.post(f"{ALL}/other/execute", json={"parameters": {}}))
        await busy.arrival()
        page = ""
        while 'held_requests{agent="other"} 1.0' not in page:
            page = (await running.client.get("/metrics")).text
        running.signal(signal.SIGTERM)
        refused = await held
        assert (refused.status_code, refused.json()["code"], refused.json()["started"]) == (503, "unavailable", False)
        assert not in_hand.done()
        release.set()
        assert (await in_hand).json()["result"] == "finished"
        assert await running.left() == 0


async def test_what_lasts_too_long_is_given_up(tmp_path: Path) -> None:
    """Its client is told that the outcome is unknown, and a stream's reader too."""

    async def stream(call: Call) -> None:
        await call.begin_stream()
        await call.chunk(b"1")
        await call.left.wait()

    async def hang(call: Call) -> None:
        await (stream(call) if "event-stream" in call.headers["accept"] else call.left.wait())

    async with manager(tmp_path, managerDrainTimeoutSeconds=0.3) as running, fake_adapter("echo") as adapter:
        adapter.execute = hang
        await running.register(adapter)
        path = f"{ALL}/echo/execute"
        body: dict[str, Any] = {"parameters": {}}
        plain = asyncio.create_task(running.client.post(path, json=body))
        streamed = asyncio.create_task(running.client.post(path, json=body, headers={"accept": "text/event-stream"}))
        await adapter.arrival(2)
        ordered = running.signal(signal.SIGTERM)
        answer = await plain
        assert (answer.status_code, answer.json()["code"]) == (502, "outcome-unknown")
        assert "event: error" in (await streamed).text
        assert await running.left() == 0
        assert 0.3 <= time.monotonic() - ordered < 1.5
        for call in adapter.calls:
            call.left.set()


async def test_it_serves_on_for_its_quiet_period(tmp_path: Path) -> None:
    """Unready, so that nobody sends it more, and still there for those who have not looked."""
    async with manager(tmp_path, managerQuietSeconds=0.5) as running, fake_adapter("echo") as adapter:
        await running.register(adapter)
        ordered = running.signal(signal.SIGTERM)
        while (await running.client.get("/ready")).status_code == 200:
            assert time.monotonic() - ordered < 0.4
        answer = await running.client.post(f"{ALL}/echo/execute", json={"parameters": {}})
        assert answer.status_code == 200
        assert await running.left() == 0
        assert 0.5 <= time.monotonic() - ordered < 1.5


async def test_watchers_see_an_end(tmp_path: Path) -> None:
    """Not a broken connection."""
    async with manager(tmp_path) as running:
        async with running.client.stream("GET", f"{ALL}?watch=true") as answer:
            pieces = answer.aiter_bytes()
            assert (await anext(pieces)).startswith(b"event: listing\n")
            running.signal(signal.SIGTERM)
            assert [piece async for piece in pieces] == []
        assert await running.left() == 0


async def test_a_second_interrupt_leaves_at_once(tmp_path: Path) -> None:
    """130, whatever is in hand; a second SIGTERM changes nothing."""
    async with manager(tmp_path) as running, fake_adapter("echo") as adapter:
        adapter.execute = lambda call: call.left.wait()  # type: ignore[assignment,return-value]  # never answers
        await running.register(adapter)
        call = asyncio.create_task(running.client.post(f"{ALL}/echo/execute", json={"parameters": {}}))
        arrived = await adapter.arrival()
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            running.signal(number)
        await running.said("leaving")
        assert running.process.returncode is None
        leaving = asyncio.create_task(running.left())
        while not leaving.done():  # two that come together are one to the kernel
            running.signal(signal.SIGINT)
            await asyncio.wait((leaving,), timeout=0.1)
        assert leaving.result() == 130
        with pytest.raises(httpx.TransportError):
            await call
        arrived.left.set()
