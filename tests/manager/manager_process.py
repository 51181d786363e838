"""A manager in a process of its own."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from tests.manager.fake_adapter import FakeAdapter
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
