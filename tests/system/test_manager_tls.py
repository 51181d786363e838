"""A manager with HTTPS, adapters that have no certificate: what the chart's `tls` makes, with real processes."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.agentctl.command import agentctl
from tests.system.certificates import Authority
from tests.system.fleet import Fleet, free_port


class HalfSecureFleet(Fleet):
    """The manager shows a certificate of its name, which the adapter's address is not in."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.authority = Authority(directory, "authority")
        self.manager_url = f"https://localhost:{self.manager_port}"
        self.agent_port = free_port()
        self.client = httpx.AsyncClient(
            base_url=self.manager_url, trust_env=False, timeout=20, verify=self.authority.client()
        )

    async def start_all(self, trusted: str) -> None:
        """Start both; the adapter trusts that bundle."""
        certificate, key = self.authority.issue("manager", names=("localhost",))
        await self.start_manager(MANAGER_TLS_CERT=certificate, MANAGER_TLS_KEY=key)
        how = ["--entry-point", "story_agents:work", "--host", "127.0.0.1", "--port", str(self.agent_port)]
        settings = {"MANAGER_URL": self.manager_url, "SSL_CERT_FILE": trusted}
        self._start("agent", ["agent_adapter", "--agent", "echo", *how], settings)

    async def is_known(self) -> bool:
        """Tell whether the agent is listed as running, at a plain URL."""
        url = f"http://127.0.0.1:{self.agent_port}"
        return any(one["state"] == "running" and one["serviceUrl"] == url for one in await self.instances("echo"))


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[HalfSecureFleet]:
    """Give both, where the adapter trusts the manager's authority by SSL_CERT_FILE."""
    async with HalfSecureFleet(tmp_path) as fleet:
        await fleet.start_all(str(fleet.authority.path))
        yield fleet


async def test_an_adapter_without_a_certificate_registers_and_is_called(fleet: HalfSecureFleet) -> None:
    """It knows the manager by the name in MANAGER_URL, and is called by plain HTTP; agentctl trusts the same way."""
    await fleet.until(fleet.is_known, "the agent runs")
    assert (await fleet.execute("echo", number=1)).json()["result"] == {"number": 1}
    trusting = {"SSL_CERT_FILE": str(fleet.authority.path)}
    run = agentctl("get", "agents", "-o", "name", manager=fleet.manager_url, variables=trusting)
    assert (run.returncode, run.stdout) == (0, "agent/echo\n")
    strange = agentctl("get", "agents", manager=fleet.manager_url)
    assert (strange.returncode, "certificate" in strange.stderr) == (5, True)
