"""A manager and adapters as real processes on loopback, for stories that span them."""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from tests.security.secrets.canaries import UNUSED

AGENTS = '''
"""Agents for the stories: they sleep, count, stream and fail as they are told."""
import asyncio
import pathlib
import typing


class Question(typing.TypedDict):
    text: str


async def typed(parameters: Question):
    return parameters["text"]


async def work(parameters, context):
    marks = parameters.get("marks")
    if marks:
        with pathlib.Path(marks).open("a") as file:
            file.write(f"{parameters.get('number')}\\n")
    await asyncio.sleep(parameters.get("seconds", 0))
    while "until" in parameters and not pathlib.Path(parameters["until"]).exists():
        await asyncio.sleep(0.01)
    return {"number": parameters.get("number")}


async def stream(parameters):
    for number in range(parameters["chunks"]):
        await asyncio.sleep(parameters.get("seconds", 0))
        yield {"number": number}


async def relay(parameters, context):
    return await context.call(parameters["agent"], parameters["parameters"])
'''
PATIENCE_SECONDS = 20.0


def free_port() -> int:
    """Give a port that is free now, below those that outgoing connections take: no other test's can come between."""
    while True:
        port = random.randrange(15_000, 30_000)  # noqa: S311  # no secret; Linux gives outgoing ones 32768 and up
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Fleet:
    """The processes of one test: what it starts, it ends."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "story_agents.py").write_text(AGENTS)
        self.manager_port = free_port()
        self.manager_url = f"http://127.0.0.1:{self.manager_port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.client = httpx.AsyncClient(
            base_url=self.manager_url,
            trust_env=False,
            timeout=60,
            limits=httpx.Limits(keepalive_expiry=2),  # below the servers' 5 s: none is reused as it is closed
        )
        self.settings = {"HEARTBEAT_INTERVAL_SECONDS": "1", "REGISTRATION_TTL_SECONDS": "3"}

    async def __aenter__(self) -> Self:
        """Begin with nothing running."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End every process that is still there."""
        await self.client.aclose()
        self._end(self.processes.values())

    def end_agents(self) -> None:
        """End every adapter and forget it; an idle one leaves in order, so that nobody waits for it."""
        agents = [self.processes.pop(name) for name in list(self.processes) if name != "manager"]
        for process in agents:
            process.terminate()
        self._end(agents, patience_seconds=0.5)

    @staticmethod
    def _end(processes: Iterable[subprocess.Popen[bytes]], patience_seconds: float = 0.0) -> None:
        until = time.monotonic() + patience_seconds
        for process in processes:
            try:
                process.wait(timeout=max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait(timeout=10)

    async def start_manager(self, **settings: str) -> None:
        """Start the manager and wait until it is ready."""
        self._start("manager", ["agent_manager", "--port", str(self.manager_port)], settings)

        async def ready() -> bool:
            return (await self.client.get("/ready")).status_code == 200

        await self.until(ready, "the manager is ready")

    async def start_agent(self, name: str, agent: str, function: str = "work", **settings: str) -> int:
        """Start an adapter of `agent` and wait until the manager lists it as running; gives its port."""
        return await self.start_adapter(name, agent, ("--entry-point", f"story_agents:{function}"), **settings)

    async def start_adapter(self, name: str, agent: str, how: Sequence[str], **settings: str) -> int:
        """Start an adapter with the arguments that say `how` its agent is plugged in, as `start_agent` does."""
        port = int(settings.pop("AGENT_PORT", 0)) or free_port()
        command = ["agent_adapter", "--agent", agent, "--host", "127.0.0.1", "--port", str(port), *how]
        settings = {"MANAGER_URL": self.manager_url, **settings}
        self._start(name, command, settings)
        url = settings.get("AGENT_SERVICE_URL", f"http://127.0.0.1:{port}")

        async def listed() -> bool:
            return any(one["state"] == "running" and one["serviceUrl"] == url for one in await self.instances(agent))

        await self.until(listed, f"{name} runs")
        return port

    def signal(self, name: str, number: int) -> None:
        """Send a signal to one of the processes."""
        self.processes[name].send_signal(number)

    async def exit_code(self, name: str) -> int:
        """Wait for a process to end and give its exit code."""
        return await asyncio.to_thread(self.processes[name].wait, PATIENCE_SECONDS)

    async def listing(self) -> dict[str, Any]:
        """Give the manager's listing, by agent id."""
        answer = await self.client.get("/api/agent-services")
        return {agent["id"]: agent for agent in answer.json()["agents"]}

    async def instances(self, agent: str) -> list[dict[str, Any]]:
        """Give the listed instances of an agent."""
        found: list[dict[str, Any]] = (await self.listing()).get(agent, {}).get("instances", [])
        return found

    async def execute(
        self, agent_id: str, headers: dict[str, str] | None = None, /, **parameters: object
    ) -> httpx.Response:
        """Call an agent through the manager."""
        path = f"/api/agent-services/{agent_id}/execute"
        return await self.client.post(path, json={"parameters": parameters}, headers=headers or {})

    async def act(self, agent: str, action: str, **members: object) -> httpx.Response:
        """Order an action."""
        return await self.client.post(f"/api/agent-services/{agent}/action", json={"action": action, **members})

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str, seconds: float = PATIENCE_SECONDS) -> float:
        """Wait until something holds that only asking can tell; gives how long that took, in seconds."""
        begin = time.monotonic()
        while True:
            try:
                if await holds():
                    return time.monotonic() - begin
            except httpx.TransportError:
                pass
            if time.monotonic() - begin > seconds:
                raise AssertionError(f"not within {seconds:g} s: {what}\n{self._logs()}")
            await asyncio.sleep(0.02)

    def _start(self, name: str, command: list[str], settings: dict[str, str]) -> None:
        log = (self.directory / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=self.directory,
            env={**os.environ, **UNUSED, **self.settings, **settings},
            stdout=log,
            stderr=log,
        )
        log.close()

    def _logs(self) -> str:
        tails = []
        for path in sorted(self.directory.glob("*.log")):
            lines = path.read_text().splitlines()[-12:]
            tails.append(f"--- {path.name}\n" + "\n".join(lines))
        return "\n".join(tails)


def problem(answer: httpx.Response) -> dict[str, Any]:
    """Give an answer's problem."""
    assert answer.headers["content-type"] == "application/problem+json"
    members: dict[str, Any] = json.loads(answer.content)
    return members
