"""A page whose name was given an address of this machine reads and orders nothing where nobody is asked for keys."""

from typing import Any

import httpx
import pytest

from tests.manager.manager_rig import ALL, ManagerRig, running_manager

OPEN = ("/health", "/ready", "/metrics", "/api/prometheus/targets")
OWN = (
    "localhost",
    "LocalHost",
    "localhost.",
    "a.localhost",
    "127.0.0.1",
    "[::1]",
    "10.0.0.7",
    "[2001:db8::1]",
    "manager",
)
FOREIGN = (
    "evil.test",
    "EVIL.test.",
    "localhost.evil.test",
    "127.0.0.1.evil.test",
    "a.localhost.evil.test",
    "127.1.evil",
)


async def asked(rig: ManagerRig, method: str, path: str, host: str) -> httpx.Response:
    """Give the answer to a page of this name."""
    headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    return await rig.client.request(method, path, headers=headers, json=None if method == "GET" else {})


@pytest.mark.parametrize("port", ["", ":8080"])
@pytest.mark.parametrize("host", FOREIGN)
async def test_a_foreign_name_is_refused(host: str, port: str) -> None:
    """To read, to order, to call and to register; the answer says what to do."""
    async with running_manager() as rig:
        await rig.adapter()
        for method, path in (("GET", ALL), ("GET", "/"), ("POST", f"{ALL}/echo/action"), ("POST", f"{ALL}/register")):
            assert (await asked(rig, method, path, host + port)).status_code == 403, path
        answer = await asked(rig, "POST", f"{ALL}/echo/execute", host + port)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "--insecure" in answer.json()["detail"]
        assert [(await asked(rig, "GET", path, host + port)).status_code for path in OPEN] == [200] * len(OPEN)


@pytest.mark.parametrize("port", ["", ":8080"])
@pytest.mark.parametrize("host", OWN)
async def test_a_name_that_nobody_can_give_another_address_is_taken(host: str, port: str) -> None:
    """At any port: a tunnel ends at another one."""
    async with running_manager() as rig:
        assert (await asked(rig, "GET", ALL, host + port)).status_code == 200


@pytest.mark.parametrize("changes", [{"host": "0.0.0.0"}, {"insecure": True}], ids=["beyond", "insecure"])
async def test_beyond_loopback_or_told_so_any_name_is_taken(changes: dict[str, Any]) -> None:
    """Its names are not known to it there; who says `--insecure` means it."""
    async with running_manager(**changes) as rig:
        assert (await asked(rig, "GET", ALL, "agents.example.org")).status_code == 200
