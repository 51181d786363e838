"""An adapter in a process of its own, with an agent of the tests of isolation, and a manager that hears its beats."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

AGENTS = Path(__file__).parent.parent / "adapter"


class Adapter:
    """A running adapter."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.client = httpx.AsyncClient(trust_env=False, timeout=60)
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def logged(self, message: str, times: int = 1) -> dict[str, Any]:
        """Wait for a log line with this message, the n-th one."""
        while True:
            found = [line for line in self.lines if line["message"] == message]
            if len(found) >= times:
                return found[times - 1]
            if self._reading.done():
                raise AssertionError(f"the adapter ended and never said {message!r}: {self.lines}")
            self._news.clear()
            await self._news.wait()

    async def execute(self, **parameters: Any) -> httpx.Response:
        """Give the answer of a task."""
        return await self.client.post("/execute", json={"parameters": parameters})

    async def result(self, **parameters: Any) -> Any:
        """Give the result of a task that succeeds."""
        answer = await self.execute(**parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    async def begun(self) -> None:
        """Wait until a task has reported progress."""
        while not any(task["progress"] for task in (await self.client.get("/status")).json()["tasks"]):
            pass

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it."""
        self.process.send_signal(number)

    async def exit_code(self) -> int:
        """Wait for its end."""
        await self._reading
        return await self.process.wait()

    async def close(self) -> None:
        """End it, whatever it does."""
        await self.client.aclose()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.exit_code()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                self.lines.append(json.loads(line))
            self._news.set()
        self._news.set()


@asynccontextmanager
async def adapter(folder: Path, entry_point: str, *command: str, **variables: str) -> AsyncIterator[Adapter]:
    """Give an adapter of `isolated_agents:<entry_point>`, or of a command, that is up; kill it in the end."""
    found = await begin(folder, entry_point, *command, **variables)
    try:
        port = (await found.logged("listening"))["port"]
        found.client.base_url = httpx.URL(f"http://127.0.0.1:{port}")
        await found.logged("up")
        yield found
    finally:
        await found.close()


async def begin(folder: Path, entry_point: str, *command: str, **variables: str) -> Adapter:
    """Start an adapter, and do not wait for it."""
    way = ["--", *command] if command else ["--entry-point", f"isolated_agents:{entry_point}"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent_adapter", "--agent", "isolated", "--host", "127.0.0.1", "--port", "0", *way),
        stdout=asyncio.subprocess.PIPE,
        env={
            **{name: text for name, text in os.environ.items() if not name.startswith(("AGENT", "MANAGER"))},
            "AGENT_ISOLATION": "process",
            "AGENT_WORKING_DIRECTORY": str(AGENTS),
            "LOG_DIRECTORY": str(folder),
            **variables,
        },
    )
    return Adapter(process)


class Manager:
    """Takes registrations and beats, and notes when the beats came."""

    def __init__(self, interval_seconds: float) -> None:
        self.beats: list[float] = []
        self._orders = json.dumps({"ttlSeconds": 30, "heartbeatIntervalSeconds": interval_seconds}).encode()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Give its URL."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            host, port = server.sockets[0].getsockname()
            yield f"http://{host}:{port}"

    def longest_silence(self, since: float, until: float) -> float:
        """Give the longest time without a beat within a stretch of time, in seconds."""
        moments = [since, *(beat for beat in self.beats if since < beat < until), until]
        return max(later - earlier for earlier, later in itertools.pairwise(moments))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length:")[2].split()[0]))
                if b"heartbeat " in head:
                    self.beats.append(time.monotonic())
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(self._orders), self._orders))
        writer.close()
