"""A name is looked up once, every address that it has is checked, and what was checked is connected to."""

import socket
from typing import Any

import pytest

from tests.manager.manager_rig import ALL, ManagerRig, running_manager
from tests.security.registration.callers import ELSEWHERE, calling_from, register
from tests.security.registration.traps import Traps

NAME = "agent.test"
FORBIDDEN = (403, "forbidden-service-url")
LINK_LOCAL = "169.254.169.254"
TRAP = "127.0.0.2"


class Resolver:
    """Answers for one name, with the next list of addresses each time; the last one stays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self._answers = list(answers)
        self._real = socket.getaddrinfo
        self.asked = 0
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: Any, port: Any, *arguments: Any, **named: Any) -> Any:
        """Answer as `getaddrinfo` does."""
        if host != NAME:
            return self._real(host, port, *arguments, **named)
        found = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


async def use(rig: ManagerRig) -> None:
    """Have the manager connect, for calls and for what it asks by itself."""
    await rig.execute()
    for path in ("status", "info", "logs"):
        await rig.client.get(f"{ALL}/echo/{path}")
    await rig.client.get("/metrics")


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_name_that_means_another_address_next_leads_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """The first answer is the agent's own address; all the next ones are that of somebody else's port."""
    resolver = Resolver(monkeypatch, ["127.0.0.1"], [TRAP])
    async with running_manager(allowed_service_hosts=(NAME,), hold_seconds=0.1) as rig:
        adapter = await rig.adapter("other")
        with Traps.at(TRAP, adapter.port) as traps:
            await rig.unregister(adapter)
            adapter.agent_id = "echo"
            url = f"{scheme}://{NAME}:{adapter.port}"
            assert await register(rig.client, url, adapter.instance_id) == (200, "")
            await use(rig)
            assert traps.count() == 0
        assert resolver.asked == 1
        assert len(adapter.calls) == (scheme == "http")  # which does not speak TLS


async def test_each_registration_is_looked_up_and_checked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is good today is refused when its name has moved to what is forbidden; the calls go where they went."""
    resolver = Resolver(monkeypatch, ["127.0.0.1"], [LINK_LOCAL])
    async with running_manager(allowed_service_hosts=(NAME,)) as rig:
        adapter = await rig.adapter("other")
        await rig.unregister(adapter)
        adapter.agent_id = "echo"
        url = f"http://{NAME}:{adapter.port}"
        assert await register(rig.client, url, adapter.instance_id) == (200, "")
        assert await register(rig.client, url, adapter.instance_id) == FORBIDDEN
        await use(rig)
        assert len(adapter.calls) == 1
    assert resolver.asked == 2


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.7", LINK_LOCAL],
        [LINK_LOCAL, "10.0.0.7"],
        ["10.0.0.7", "127.0.0.1"],
        ["127.0.0.1"],
        [TRAP],
        ["::1"],
        ["10.0.0.7", "0.0.0.0"],
        ["10.0.0.7", "224.0.0.1"],
        ["10.0.0.7", "fd00:ec2::254"],
        ["10.0.0.7", "fe80::1"],
        ["10.0.0.7", "::ffff:127.0.0.1"],
        ["10.0.0.7", "64:ff9b::7f00:1"],
    ],
    ids=",".join,
)
async def test_a_name_with_one_forbidden_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, scheme: str, addresses: list[str]
) -> None:
    """Whatever else it has: metadata, or the manager's own machine for a caller on another one."""
    Resolver(monkeypatch, addresses)
    async with running_manager(allowed_service_hosts=(NAME,)) as rig, calling_from(rig, ELSEWHERE) as elsewhere:
        assert await register(elsewhere, f"{scheme}://{NAME}:8100", "bad") == FORBIDDEN
        assert rig.manager.registry.instances == {}


async def test_a_name_of_this_machine_is_for_callers_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`/etc/hosts` often gives a machine's own name an address of loopback."""
    Resolver(monkeypatch, ["127.0.1.1"])
    async with running_manager(allowed_service_hosts=(NAME,)) as rig:
        assert await register(rig.client, f"http://{NAME}:8100", "own") == (200, "")
