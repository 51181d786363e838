"""Many adapters' conversations with their managers in one process: the real `Managers` and `ManagerLink`, idle agents.

Only their HTTP client is another one: a real adapter's takes a millisecond and a half of CPU for a beat, which is
nothing in a process of its own, and a core and more for a thousand of them.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Final
from urllib.parse import urlsplit

import structlog
from agent_adapter import heartbeat
from agent_adapter.credentials import ManagerTokens
from agent_adapter.heartbeat import Managers
from agent_adapter.http_client import Answer, CallBroken, CallFailed, ConnectFailed
from agent_contract.identity import new_id
from agent_contract.serving import new_event_loop
from agent_contract.wire import Heartbeat, Orders, Registration, Totals

START_SECONDS: Final = 5.0
"""All begin within it, as after a power cut."""
HOST: Final = "127.0.0.1"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Notes:
    """What a process noted: how long each beat took, in seconds, what failed, and how many connections were made."""

    beats: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    connections: int = 0


class LeanClient:
    """An HTTP client with a connection to each manager; `keep` is whether it outlives a request."""

    def __init__(self, notes: Notes, *, keep: bool) -> None:
        self._notes = notes
        self._keep = keep
        self._open: dict[str, Streams] = {}

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, timeout_seconds: float
    ) -> Answer:
        """Give the whole answer within the timeout; raises CallFailed, as the adapter's client does."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await self._ask(method, url, headers, body)
        except TimeoutError as error:
            self._drop(urlsplit(url).netloc)
            self._notes.failures.append(f"{url}: no answer in time")
            raise CallBroken(f"no whole answer from {url} within {timeout_seconds:g} s") from error
        except CallFailed as failure:
            self._notes.failures.append(f"{url}: {failure}")
            raise
        if url.endswith("/heartbeat"):
            self._notes.beats.append(time.perf_counter() - began)
        return answer

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        parts = urlsplit(url)
        lines = [f"{method} {parts.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        reader, writer = await self._streams(parts.netloc)
        try:
            writer.write("\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            said = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            content = await reader.readexactly(int(said.get("content-length", "0")))
        except (OSError, asyncio.IncompleteReadError) as error:
            self._drop(parts.netloc)
            raise CallBroken(str(error)) from error
        if not self._keep or said.get("connection") == "close":
            self._drop(parts.netloc)
        return Answer(int(head[0].split()[1]), said, content)

    async def _streams(self, place: str) -> Streams:
        if place in self._open and self._open[place][0].at_eof():
            self._drop(place)
        if place not in self._open:
            host, _, port = place.partition(":")
            try:
                self._open[place] = await asyncio.open_connection(host, int(port))
            except OSError as error:
                raise ConnectFailed(str(error), refused=isinstance(error, ConnectionRefusedError)) from error
            self._notes.connections += 1
        return self._open[place]

    def _drop(self, place: str) -> None:
        if place in self._open:
            self._open.pop(place)[1].close()


class Idle:
    """An instance that runs and has nothing to do; it answers its managers' probes."""

    def __init__(self, number: int) -> None:
        self.id = f"agent-{number:04}"
        self.instance_id = new_id()
        self.port = 0

    async def listen(self) -> None:
        """Answer `GET /status` at a port of its own."""
        body = json.dumps({"status": "running", "instanceId": self.instance_id, "maxConcurrency": 1}).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        server = await asyncio.get_running_loop().create_server(lambda: _Answering(head.encode() + body), HOST, 0)
        self.port = server.sockets[0].getsockname()[1]

    def registration(self, manager: tuple[str, int]) -> Registration:
        """Give the registration."""
        del manager
        metadata = {"version": "1.0.0", "adapterVersion": "0.1.0", "maxConcurrency": 1}
        return Registration(self.id, f"http://{HOST}:{self.port}", self.instance_id, metadata, "running")

    def heartbeat(self) -> Heartbeat:
        """Give the beat."""
        return Heartbeat(self.id, self.instance_id, "running", totals=Totals())

    def ordered(self, orders: Orders) -> None:
        """Take what the managers order."""

    def stale(self) -> None:
        """Be told that another life has this one's place: never here."""
        raise AssertionError("no other process has this one's address")


class _Answering(asyncio.Protocol):
    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert data.endswith(b"\r\n\r\n")
        self._transport.write(self._answer)  # type: ignore[attr-defined]  # it is a transport for writing


def work(orders: Connection, numbers: range, managers: list[tuple[str, int]], keep: bool) -> None:  # noqa: FBT001  # spawned
    """Be the adapters with these numbers until told to end; each order is answered with what was noted since."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    heartbeat.resolve = lambda url: managers  # type: ignore[attr-defined]  # noqa: ARG005  # no name service here
    asyncio.Runner(loop_factory=new_event_loop).run(_work(orders, numbers, keep=keep))


async def _work(orders: Connection, numbers: range, *, keep: bool) -> None:
    notes, loop = Notes(), asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_live(Idle(number), LeanClient(notes, keep=keep))) for number in numbers]
        while await loop.run_in_executor(None, orders.recv) != "end":
            orders.send(notes)
            notes.beats, notes.failures, notes.connections = [], [], 0
        for task in tasks:
            task.cancel()


async def _live(instance: Idle, client: LeanClient) -> None:
    await instance.listen()
    await asyncio.sleep(random.uniform(0, START_SECONDS))  # noqa: S311  # jitter
    managers = Managers("http://managers.test", client, instance, tokens=ManagerTokens("bench", ()), interval=5.0)  # type: ignore[arg-type]  # as the adapter's
    await managers.run()
