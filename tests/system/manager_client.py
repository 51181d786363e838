"""A client of a manager that runs elsewhere: in containers, in a cluster."""

import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, Self

import anyio
import httpx

PATIENCE_SECONDS = 30.0


class ManagerClient:
    """Calls of one test to the manager; `explain` says more where a wait was in vain."""

    def __init__(self, port: int, explain: Callable[[], str], host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = port
        self._explain = explain
        self.http = httpx.AsyncClient(
            base_url=f"http://{host}:{port}", trust_env=False, timeout=60, limits=httpx.Limits()
        )

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self.http.aclose()

    async def execute(self, agent: str, **parameters: object) -> httpx.Response:
        """Call an agent."""
        return await self.http.post(f"/api/agent-services/{agent}/execute", json={"parameters": parameters})

    async def steps(self, *steps: dict[str, object]) -> httpx.Response:
        """Have the executor run these steps."""
        return await self.execute("executor", steps=list(steps))

    async def agent(self, agent: str) -> dict[str, Any]:
        """Give an agent as it is listed."""
        listed: dict[str, Any] = (await self.http.get(f"/api/agent-services/{agent}")).json()
        return listed

    async def instances(self, agent: str) -> list[dict[str, Any]]:
        """Give the listed instances of an agent."""
        found: list[dict[str, Any]] = (await self.agent(agent))["instances"]
        return found

    async def metric(self, name: str, **labels: str) -> float:
        """Give the sum of the manager's own series of this name that have these labels."""
        text = (await self.http.get("/metrics", params={"scope": "self"})).text
        total = 0.0
        for series, value in re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE):
            if all(f'{label}="{wanted}"' in series for label, wanted in labels.items()):
                total += float(value)
        return total

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str, seconds: float = PATIENCE_SECONDS) -> float:
        """Wait until something holds that only asking can tell; gives how long that took, in seconds."""
        begin = time.monotonic()
        while not await holds():
            if time.monotonic() - begin > seconds:
                raise AssertionError(f"not within {seconds:g} s: {what}\n{self._explain()}")
            await anyio.sleep(0.05)
        return time.monotonic() - begin

    async def until_running(self, agent: str, instances: int) -> None:
        """Wait until so many instances of an agent are listed, all running and reachable."""

        async def run() -> bool:
            found = await self.instances(agent)
            states = [(one["state"], one["reachable"]) for one in found]
            return states == [("running", True)] * instances

        await self.until(run, f"{instances} instances of {agent} run")
