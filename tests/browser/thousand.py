"""A thousand agents in one task: each has an address of its own that answers probes, registers, and beats."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from typing import Any, Final, Self

import httpx
from agent_contract.identity import new_id

ALL: Final = "/api/agent-services"
KINDS: Final = ("reader", "planner", "triage", "search", "billing", "vision", "summary", "review", "router", "notes")
_AT_ONCE: Final = 40
_BEAT_SECONDS: Final = 5.0


class Simulated:
    """One agent with one instance."""

    def __init__(self, number: int) -> None:
        self.id = f"{KINDS[number % len(KINDS)]}-{number:04d}"
        self.instance_id = new_id()
        self.state = "running"
        self.running = 0
        self.queued = 0
        self.drain: dict[str, Any] | None = None
        self.problem: dict[str, Any] | None = None
        self.url = ""
        self._server: asyncio.Server

    async def listen(self) -> Self:
        """Answer `/status` at an address of its own."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def close(self) -> None:
        """Listen no more."""
        self._server.close()

    def said(self) -> dict[str, Any]:
        """Give what it beats with."""
        own = {"id": self.id, "instanceId": self.instance_id, "status": self.state}
        return {**own, "running": self.running, "queued": self.queued, "drain": self.drain, "problem": self.problem}

    def work(self, dice: random.Random) -> None:
        """Have more or less in hand than before."""
        self.running = max(0, min(8, self.running + dice.choice((-1, 0, 0, 1))))
        self.queued = dice.randrange(4) if self.running == 8 else 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                status = {"status": self.state, "instanceId": self.instance_id, "queued": self.queued}
                body = json.dumps(
                    {**status, "maxConcurrency": 8, "drain": self.drain, "problem": self.problem}
                ).encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
        writer.close()


class Thousand:
    """The agents, and the client with which they speak to a manager."""

    def __init__(self, url: str, many: int = 1000) -> None:
        self.agents = [Simulated(number) for number in range(many)]
        self.dice = random.Random(7)  # noqa: S311  # no secret: the same fleet each time
        self._client = httpx.AsyncClient(base_url=url, trust_env=False, timeout=30)
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def register(self) -> None:
        """Let all of them register."""
        for agent in self.agents:
            await agent.listen()
        await asyncio.gather(*(self._register(agent) for agent in self.agents))

    async def beat(self) -> None:
        """Let all of them beat once, over five seconds, each with other work in hand."""
        pause = _BEAT_SECONDS / len(self.agents)
        for number, agent in enumerate(self.agents):
            agent.work(self.dice)
            await self.say("heartbeat", agent.said())
            if number % 10 == 0:
                await asyncio.sleep(pause * 8)

    async def beat_on(self) -> None:
        """Beat, for ever."""
        while True:
            await self.beat()

    async def say(self, route: str, body: dict[str, Any]) -> None:
        """Say something to the manager."""
        async with self._slots:
            answer = await self._client.post(f"{ALL}/{route}", json=body)
            answer.raise_for_status()

    async def close(self) -> None:
        """End all of them."""
        for agent in self.agents:
            agent.close()
        await self._client.aclose()

    async def _register(self, agent: Simulated) -> None:
        about = {"name": f"Agent {agent.id}", "version": "1.0", "maxConcurrency": 8, "description": "one of a thousand"}
        body = {"id": agent.id, "serviceUrl": agent.url, "instanceId": agent.instance_id, "status": "running"}
        await self.say("register", {**body, "metadata": about})


@contextlib.asynccontextmanager
async def thousand_agents(url: str, many: int = 1000) -> AsyncIterator[Thousand]:
    """Give a thousand agents that registered with the manager at this URL and beat."""
    agents = Thousand(url, many)
    await agents.register()
    beating = asyncio.create_task(agents.beat_on())
    try:
        yield agents
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        await agents.close()
