"""A whole adapter in this process: real sockets, real agent, everything but the process around it."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
from agent_adapter.composition import Instance
from agent_adapter.config import CommandLine, load
from agent_adapter.identity import Identity
from agent_adapter.supervisor import Ending
from agent_contract.serving import listen
from msgspec.structs import replace

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Nothing here speaks TLS, and reading the system's certificates takes longer than most tests."""
PATIENCE_SECONDS = 10
"""How long a test waits for what must come; nothing here comes late."""


class OpenCall:
    """A call that was sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def answer(self) -> tuple[int, Any]:
        """Give status and JSON body."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            head, _, body = (await self._reader.read()).partition(b"\r\n\r\n")
        await self.leave()
        return int(head.split()[1]), json.loads(body)

    async def leave(self) -> None:
        """Close the connection."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


class RunningAdapter:
    """One life, begun; `client` calls it."""

    def __init__(self, instance: Instance, client: httpx.AsyncClient, life: asyncio.Task[Ending]) -> None:
        self.instance = instance
        self.client = client
        self.life = life
        self.execution = instance.adapter.execution
        self.table = instance.adapter.execution.table
        self.lifecycle = instance.adapter.lifecycle
        self._moved = asyncio.Event()
        for part, name in (
            (self.table, "_on_change"),
            (self.lifecycle, "_on_change"),
            (self.lifecycle, "begin_leaving"),
        ):
            self._watch(part, name)

    def _watch(self, part: Any, name: str) -> None:
        told = getattr(part, name)

        def tell() -> None:
            told()
            self._moved.set()

        setattr(part, name, tell)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return when something holds of the lifecycle or the task table."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds():
                self._moved.clear()
                await self._moved.wait()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.instance.adapter.settings.port

    async def execute(self, parameters: Mapping[str, Any] | None = None, **headers: str) -> httpx.Response:
        """Call the agent; `prefer="respond-async"` and the like become headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post("/execute", json={"parameters": parameters or {}}, headers=named)

    async def post(self, parameters: Mapping[str, Any], *headers: str) -> "OpenCall":
        """Send a call on a connection of its own, without waiting for the answer."""
        body = json.dumps({"parameters": parameters}).encode()
        head = ["POST /execute HTTP/1.1", "Host: a", "Connection: close", f"Content-Length: {len(body)}", *headers]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        return OpenCall(reader, writer)

    async def in_hand(self, running: int, queued: int = 0) -> None:
        """Return when so many tasks run and wait."""
        await self.until(lambda: (len(self.table.running), len(self.table.queue)) == (running, queued))

    async def ended(self) -> Ending:
        """Return how its life ended."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await asyncio.shield(self.life)


@contextlib.asynccontextmanager
async def running(
    directory: Path, entry_point: str = "echo", *, process: Mapping[str, str] | None = None, **agent: Any
) -> AsyncIterator[RunningAdapter]:
    """Run an adapter with one of the sample agents (or `upstream`, `command`) until the block ends."""
    ways = {"command", "upstream"} & agent.keys()
    path = directory / "agents.config.json"
    own = agent if ways else {"entryPoint": f"tests.adapter.sample_agents:{entry_point}", **agent}
    path.write_text(json.dumps({"agents": [{"id": "sample", **own}]}))
    settings = load(
        CommandLine(agent="sample", config=str(path), host="127.0.0.1", port=0),
        {"LOG_DIRECTORY": str(directory), **(process or {})},
    )
    sockets = listen(settings.host, settings.port)
    settings = replace(settings, port=int(sockets[0].getsockname()[1]))
    instance = Instance(settings, Identity("sample"), sockets)
    await instance.server.start()
    async with (
        asyncio.TaskGroup() as group,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{settings.port}",
            timeout=PATIENCE_SECONDS,
            verify=NO_CERTIFICATES,
            limits=httpx.Limits(max_connections=None),
        ) as client,
    ):
        life = group.create_task(instance.supervisor.run())
        adapter = RunningAdapter(instance, client, life)
        try:
            yield adapter
        finally:
            instance.adapter.lifecycle.leave("stop", 0)
            await adapter.ended()
            await instance.close()
