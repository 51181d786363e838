"""A whole manager on a real socket in this process, with fake adapters that registered with it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from agent_contract.config import Agent
from agent_contract.serving import Server, listen
from agent_contract.sse import Event, EventParser
from agent_contract.wire import DesiredState, State
from agent_manager.acting import Member
from agent_manager.app import application
from agent_manager.composition import Parts
from agent_manager.config import ManagerSettings
from agent_manager.credentials import Credentials
from agent_manager.records import Instance

from tests.manager.fake_adapter import FakeAdapter

ALL = "/api/agent-services"
Join = Callable[[str], Awaitable[Member]]


class ManagerRig:
    """The manager's parts, its server, and a client of it."""

    def __init__(
        self, parts: Parts, server: Server, settings: ManagerSettings, url: str, stack: AsyncExitStack
    ) -> None:
        self.parts = parts
        self.manager = parts.manager
        self.server = server
        self.settings = settings
        self.url = url
        self.client = httpx.AsyncClient(base_url=url, timeout=20, trust_env=False)
        self._stack = stack

    async def adapter(
        self, agent_id: str = "echo", *, status: State = "running", port: int = 0, instance_id: str | None = None
    ) -> FakeAdapter:
        """Start an adapter and let it register."""
        adapter = await FakeAdapter(agent_id, instance_id).start(port)
        self._stack.push_async_callback(adapter.stop)
        adapter.state = status
        await self.register(adapter)
        return adapter

    async def successor(self, old: FakeAdapter, *, status: State = "running") -> FakeAdapter:
        """Let the old life leave in order, and another one come up at its address."""
        await self.unregister(old)
        await old.leave()
        return await self.adapter(old.agent_id, status=status, port=old.port)

    async def register(self, adapter: FakeAdapter, **facts: Any) -> httpx.Response:
        """Let an adapter register as it is."""
        body = {
            "id": adapter.agent_id,
            "serviceUrl": adapter.url,
            "instanceId": adapter.instance_id,
            "status": adapter.state,
            **facts,
        }
        return await self.client.post(f"{ALL}/register", json=body)

    async def beat(self, adapter: FakeAdapter) -> httpx.Response:
        """Let an adapter beat as it is."""
        body = {"id": adapter.agent_id, "instanceId": adapter.instance_id, "status": adapter.state}
        return await self.client.post(f"{ALL}/heartbeat", json=body)

    async def unregister(self, adapter: FakeAdapter) -> httpx.Response:
        """Let an adapter say its last word."""
        body = {"id": adapter.agent_id, "instanceId": adapter.instance_id, "reason": "stop", "drain": None}
        return await self.client.post(f"{ALL}/unregister", json=body)

    async def execute(self, agent_id: str = "echo", parameters: Any = None, **headers: str) -> httpx.Response:
        """Call an agent."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {"parameters": parameters or {}}
        return await self.client.post(f"{ALL}/{agent_id}/execute", json=body, headers=named)

    async def act(self, agent_id: str, action: str, **facts: Any) -> httpx.Response:
        """Order an action."""
        return await self.client.post(f"{ALL}/{agent_id}/action", json={"action": action, **facts})

    async def listed(self, agent_id: str = "echo") -> Any:
        """Give an agent as it is listed."""
        return (await self.client.get(f"{ALL}/{agent_id}")).json()

    async def until(self, condition: Callable[[], bool], agent_id: str = "echo") -> None:
        """Wait until this is true; it is looked at after each change of the agent, and every 20 ms."""
        async with asyncio.timeout(5):
            while not condition():
                await self.manager.registry.changed(agent_id, 0.02)

    async def get(self, path: str, **query: Any) -> Any:
        """Give the decoded answer of a GET."""
        return (await self.client.get(path, params=query or None)).json()

    @asynccontextmanager
    async def events(self, path: str, **headers: str) -> AsyncIterator[AsyncIterator[Event]]:
        """Give the events of a stream as they come."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.stream("GET", path, headers=named) as response, asyncio.timeout(5):
            assert response.headers["content-type"] == "text/event-stream"
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-accel-buffering"] == "no"
            yield _events(response.aiter_bytes())

    def instance(self, adapter: FakeAdapter) -> Instance:
        """Give the manager's record of an adapter."""
        return self.manager.registry.instances[adapter.instance_id]

    def desired(self, agent_id: str = "echo") -> DesiredState:
        """Give what was last ordered for an agent."""
        return self.manager.registry.agents[agent_id].desired_state


def settings_for(agents: tuple[Agent, ...] = (), **changes: Any) -> ManagerSettings:
    """Give a manager's settings: the defaults, but for those named."""
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 0,
        "insecure": False,
        "agents": agents,
        "registration_ttl_seconds": 30.0,
        "heartbeat_interval_seconds": 5.0,
        "hold_seconds": 15.0,
        "drain_timeout_seconds": 30.0,
        "quiet_seconds": 0.0,
        "own_drain_timeout_seconds": 30.0,
        "allowed_service_hosts": (),
        "discovery": "registration",
        "namespaces": (),
        "log_level": "info",
        "log_file": Path("unused.log"),
        **changes,
    }
    return ManagerSettings(**given)


@asynccontextmanager
async def running_manager(
    *agents: Agent,
    environment: dict[str, str] | None = None,
    old: bool = True,
    join: Join | None = None,
    **changes: Any,
) -> AsyncIterator[ManagerRig]:
    """Give a manager that serves, until the block ends. An `old` one has been up for a day: it has heard everyone.

    `join` makes it one of several in a cluster, by the URL at which it is reached.
    """
    settings = settings_for(agents, **changes)
    async with AsyncExitStack() as stack:
        sockets = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        member = None if join is None else await join(url)
        parts = Parts(settings, Credentials(environment or {}, _clock), member=member)
        if old:
            parts.manager.registry.started_at -= 86400
            parts.manager.dispatcher._keys._missed_until -= 86400
        server = Server(application(parts.manager), sockets)
        await server.start()
        rig = ManagerRig(parts, server, settings, url, stack)
        async with parts.running(), rig.client:
            try:
                yield rig
            finally:
                parts.manager.readiness.leaving.set()
                server.abort()
                await server.leave(unfinished_seconds=0)


def _clock() -> float:
    return 0.0


async def _events(pieces: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    parser = EventParser()
    async for piece in pieces:
        for event in parser.feed(piece):
            yield event
