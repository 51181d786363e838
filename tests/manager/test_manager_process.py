"""The process `agent-manager`: how it starts, what it says when it cannot, how it leaves."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.manager.fake_adapter import Call, FakeAdapter, fake_adapter
from tests.manager.manager_rig import ALL

COMMAND = [sys.executable, "-m", "agent_manager"]


class Process:
    """A manager in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, lines: list[dict[str, Any]], url: str) -> None:
        self.process = process
        self.lines = lines
        self.wrote = asyncio.Condition()
        self.url = url
        self.client = httpx.AsyncClient(base_url=url, timeout=20, trust_env=False)

    def signal(self, number: signal.Signals) -> float:
        """Send a signal; gives when that was."""
        self.process.send_signal(number)
        return time.monotonic()

    async def register(self, adapter: FakeAdapter) -> None:
        """Let an adapter register."""
        body = {"id": adapter.agent_id, "serviceUrl": adapter.url, "instanceId": adapter.instance_id}
        answer = await self.client.post(f"{ALL}/register", json={**body, "status": "running"})
        assert answer.status_code == 200

    async def said(self, message: str) -> None:
        """Wait for a line of the log."""
        async with self.wrote, asyncio.timeout(5):
            await self.wrote.wait_for(lambda: any(line["message"] == message for line in self.lines))

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Read the log to its end."""
        while line := await stream.readline():
            async with self.wrote:
                self.lines.append(json.loads(line))
                self.wrote.notify_all()

    async def left(self) -> int:
        """Give the exit code."""
        async with asyncio.timeout(10):
            return await self.process.wait()


def configuration(folder: Path, **runtime: Any) -> Path:
    """Write a configuration; gives its path."""
    path = folder / "agents.config.json"
    path.write_text(json.dumps({"runtime": {"logDirectory": str(folder / "logs"), **runtime}}))
    return path


@contextlib.asynccontextmanager
async def manager(folder: Path, *arguments: str, **runtime: Any) -> AsyncIterator[Process]:
    """Give a manager that listens, and end it with the block."""
    path = configuration(folder, **runtime)
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--config", str(path), "--port", "0", *arguments, stdout=asyncio.subprocess.PIPE, cwd=folder
    )
    assert process.stdout is not None
    lines: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while not lines or lines[-1]["message"] != "listening":
            lines.append(json.loads(await process.stdout.readline()))
    running = Process(process, lines, f"http://127.0.0.1:{lines[-1]['port']}")
    reading = asyncio.create_task(running.read(process.stdout))
    try:
        async with running.client:
            yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


def catches(pid: int, number: signal.Signals) -> bool:
    """Tell whether a process has a handler for a signal."""
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


async def ended(*arguments: str, cwd: Path, **environment: str) -> tuple[int, str]:
    """Run a manager that does not come up; gives its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, stderr=asyncio.subprocess.PIPE, cwd=cwd, env={**os.environ, **environment}
    )
    async with asyncio.timeout(20):
        _, said = await process.communicate()
    return process.returncode or 0, said.decode()


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


async def test_a_signal_during_the_start_is_obeyed(tmp_path: Path) -> None:
    """In the moment in which the process first can, long before it serves: exit code 0, not that of a signal."""
    path = configuration(tmp_path)
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--config", str(path), "--port", "0", stdout=asyncio.subprocess.PIPE, cwd=tmp_path
    )
    assert process.stdout is not None
    while not catches(process.pid, signal.SIGTERM):
        assert process.returncode is None
        await asyncio.sleep(0)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        log = await process.stdout.read()
        assert await process.wait() == 0
    assert b'"message":"leaving"' in log


async def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    """Which port, and what to do; exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = await ended("--port", str(port), cwd=tmp_path)
    assert code == 1
    assert said == (
        f"agent-manager: cannot listen on 127.0.0.1:{port}: another process listens there; end it, or say --port\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"runtime":{"colour":1}}', "runtime.colour: unknown key"),
        ('{"runtime":{"holdSeconds":"x"}}', "runtime.holdSeconds: expected `float`, got `str`"),
        ("{", "not JSON"),
    ],
)
async def test_a_bad_configuration_is_exit_2_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """One line, no traceback."""
    (tmp_path / "c.json").write_text(text)
    code, stderr = await ended("--config", "c.json", "--port", "0", cwd=tmp_path)
    assert code == 2
    assert stderr.startswith("agent-manager: bad configuration: ")
    assert said in stderr
    assert stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--port", "x"], ["--port", "70000"], ["--colour"], ["more"]])
async def test_a_wrong_command_line_is_exit_2(tmp_path: Path, arguments: list[str]) -> None:
    """As every command's."""
    code, said = await ended(*arguments, cwd=tmp_path)
    assert code == 2
    assert "Usage: agent-manager" in said


async def test_it_does_not_listen_for_others_without_credentials(tmp_path: Path) -> None:
    """It says what is missing; `--insecure` says that this is meant."""
    (tmp_path / "keys").write_text("ada admin a-key")
    code, said = await ended("--host", "0.0.0.0", "--port", "0", cwd=tmp_path)
    assert code == 2
    assert re.search(r"cannot listen on 0\.0\.0\.0: set MANAGER_TOKEN_FILE .* and MANAGER_API_KEYS_FILE", said)
    code, said = await ended(
        "--host", "0.0.0.0", "--port", "0", cwd=tmp_path, MANAGER_API_KEYS_FILE=str(tmp_path / "keys")
    )
    assert code == 2
    assert "MANAGER_API_KEYS_FILE" not in said
    async with manager(tmp_path, "--host", "0.0.0.0", "--insecure") as running:
        assert (await running.client.get("/health")).status_code == 200


async def test_a_file_of_credentials_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    """A mount that failed must not open the doors."""
    code, said = await ended("--port", "0", cwd=tmp_path, MANAGER_TOKEN_FILE="nothing")  # noqa: S106  # a path
    assert (code, said) == (
        2,
        "agent-manager: bad configuration: MANAGER_TOKEN_FILE: cannot read nothing: No such file or directory\n",
    )
