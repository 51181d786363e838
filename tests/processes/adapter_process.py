"""A real adapter process: started on a free port, followed by its log, always ended."""

import asyncio
import asyncio.subprocess
import contextlib
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from tests.security.secrets.canaries import UNUSED

PATIENCE_SECONDS: Final = 20
"""How long a test waits for what must come: two cores are shared by many."""
CODE: Final = Path(__file__).parent / "code"
_NO_CERTIFICATES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_QUIET_VARIABLES: Final = ("AGENT_", "MANAGER_", "OTEL_")

Line = dict[str, Any]


class AdapterProcess:
    """One process: `lines` are its log, `stderr` is what it said there, `client` calls it."""

    def __init__(self, process: asyncio.subprocess.Process, directory: Path) -> None:
        self.process = process
        self.directory = directory
        self.lines: list[Line] = []
        self.stderr = ""
        self.port = 0
        self.client = httpx.AsyncClient(timeout=PATIENCE_SECONDS, verify=_NO_CERTIFICATES)
        self._news = asyncio.Event()
        self._readers = [asyncio.create_task(self._read_log()), asyncio.create_task(self._read_stderr())]
        self._readers[0].add_done_callback(lambda _: self._news.set())

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def said(self, message: str, holds: Callable[[Line], bool] = lambda _: True, since: int = 0) -> Line:
        """Return the first log line of this message of which something holds, when it comes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                self._news.clear()
                ended = self._readers[0].done()
                found = (line for line in self.lines[since:] if line["message"] == message and holds(line))
                if (line := next(found, None)) is not None:
                    return line
                assert not ended, f"ended without {message!r}: {self.stderr}"
                await self._news.wait()

    async def listening(self) -> "AdapterProcess":
        """Return when it listens."""
        line = await self.said("listening")
        self.port = line["port"]
        self.client.base_url = httpx.URL(self.url)
        return self

    async def up(self, since: int = 0) -> "AdapterProcess":
        """Return when it has come up."""
        await self.listening()
        await self.said("up", since=since)
        return self

    async def execute(self, parameters: Mapping[str, Any] | None = None, **headers: str) -> httpx.Response:
        """Call the agent."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post("/execute", json={"parameters": parameters or {}}, headers=named)

    async def act(self, action: str, **members: Any) -> Any:
        """Order something and give the new status."""
        answer = await self.client.post("/action", json={"action": action, **members})
        assert answer.status_code == 202, answer.text
        return answer.json()

    async def status(self) -> Any:
        """Give its status."""
        return (await self.client.get("/status")).json()

    async def begun(self, count: int = 1) -> None:
        """Return when so many tasks have begun: the sample agents say so."""
        await self.said("begun", lambda _: self.begins >= count)

    @property
    def begins(self) -> int:
        """How many tasks have begun so far."""
        return sum(line["message"] == "begun" for line in self.lines)

    async def exited(self) -> int:
        """Return its exit code, once it has ended and all that it said was read."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            code = await self.process.wait()
            await asyncio.wait(self._readers)
        return code

    async def end(self) -> None:
        """End it, whatever it does."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        for reader in self._readers:
            reader.cancel()
        await asyncio.wait(self._readers)
        await self.client.aclose()
        self.process._transport.close()  # type: ignore[attr-defined]  # its pipes may be held by a child of its

    async def _read_log(self) -> None:
        if self.process.stdout is None:
            return
        async for line in self.process.stdout:
            self.lines.append(json.loads(line))
            self._news.set()

    async def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.stderr += line.decode()


async def start(
    directory: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    interpreter: str = sys.executable,
    stdout: int = asyncio.subprocess.PIPE,
) -> AdapterProcess:
    """Start `python -m agent_adapter` with these arguments, in this directory."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_QUIET_VARIABLES)}
    process = await asyncio.create_subprocess_exec(
        interpreter,
        "-m",
        "agent_adapter",
        *arguments,
        cwd=directory,
        env={
            **inherited,
            **UNUSED,
            "LOG_DIRECTORY": str(directory),
            "NOTES": str(directory / "notes"),
            **(environment or {}),
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    return AdapterProcess(process, directory)


@contextlib.asynccontextmanager
async def agent(
    directory: Path,
    entry_point: str,
    *arguments: str,
    up: bool = True,
    interpreter: str = sys.executable,
    **environment: str,
) -> AsyncIterator[AdapterProcess]:
    """Run one of the sample agents (`module:name`, or `child.py` as a command) on a free port until the block ends."""
    how = ["--", sys.executable, entry_point] if entry_point.endswith(".py") else ["--entry-point", entry_point]
    process = await start(
        directory,
        "--agent",
        "sample",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        *arguments,
        *how,
        environment={"AGENT_WORKING_DIRECTORY": str(CODE), **environment},
        interpreter=interpreter,
    )
    try:
        if up:
            await process.up()
        yield process
    finally:
        await process.end()
