"""Adapters that register from here and from elsewhere."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from agent_manager.app import application

from tests.manager.manager_rig import ALL, ManagerRig

ELSEWHERE = "198.51.100.7"
"""Another machine (RFC 5737)."""
HERE = "127.0.0.9"


@asynccontextmanager
async def calling_from(rig: ManagerRig, host: str) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the manager that has this address: on a real socket where it is one of this machine."""
    transport: httpx.AsyncBaseTransport = (
        httpx.AsyncHTTPTransport(local_address=host, trust_env=False)
        if host.startswith("127.")
        else httpx.ASGITransport(application(rig.manager), client=(host, 50000))
    )
    async with httpx.AsyncClient(base_url=rig.url, transport=transport, trust_env=False, timeout=20) as client:
        yield client


async def register(client: httpx.AsyncClient, url: str, instance_id: str, agent_id: str = "echo") -> tuple[int, str]:
    """Register; gives the status, and the code of the problem or nothing."""
    body = {"id": agent_id, "serviceUrl": url, "instanceId": instance_id, "status": "running"}
    answer = await client.post(f"{ALL}/register", json=body)
    return answer.status_code, answer.json().get("code", "")
