"""Sessions over HTTP: the cookie, who may use it, and what pages of other origins may not do."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from agent_manager.login_attempts import MOST_FAILURES

from tests.manager.key_desk import Desk
from tests.manager.manager_rig import ALL, ManagerRig, running_manager

SESSION = "/api/session"
OWN = {"x-requested-with": "agent-console"}


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[ManagerRig]:
    """Give a manager that asks who one is."""
    desk = Desk(tmp_path)
    environment = {"MANAGER_API_KEYS_FILE": str(desk.path), "MANAGER_TOKEN": desk.shared}
    async with running_manager(environment=environment) as rig:
        yield rig


async def sign_in(rig: ManagerRig, key: str = "operator-key", **headers: str) -> httpx.Response:
    """Give a key."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await rig.client.post(SESSION, json={"key": key}, headers=named)


async def test_the_cookie_is_out_of_reach(closed: ManagerRig) -> None:
    """Of scripts, of other sites, and over https of the network; the answer keeps no copy."""
    plain = await sign_in(closed)
    behind_tls = await sign_in(closed, x_forwarded_proto="https")
    assert plain.status_code == 204
    assert plain.headers["cache-control"] == "no-store"
    assert plain.headers["set-cookie"].startswith("agent-manager=")
    assert plain.headers["set-cookie"].endswith("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict")
    assert behind_tls.headers["set-cookie"].startswith("__Host-agent-manager=")
    assert behind_tls.headers["set-cookie"].endswith("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure")


async def test_it_says_who_one_is_and_ends(closed: ManagerRig) -> None:
    """With the time of its end; afterwards it is 401."""
    assert (await closed.client.get(SESSION)).status_code == 401
    await sign_in(closed)
    said = (await closed.client.get(SESSION)).json()
    assert (said["name"], said["role"]) == ("ola", "operator")
    assert said["endsAt"].endswith("Z")
    assert (await closed.client.delete(SESSION, headers=OWN)).status_code == 204
    assert (await closed.client.get(SESSION)).status_code == 401


async def test_with_no_keys_anybody_may_do_everything(rig: ManagerRig) -> None:
    """A local run asks nobody."""
    assert await rig.get(SESSION) == {"name": None, "role": "admin", "endsAt": None}


async def test_a_key_itself_says_who_one_is_too(closed: ManagerRig) -> None:
    """For programs."""
    answer = await closed.client.get(SESSION, headers={"authorization": "Bearer viewer-key"})
    assert answer.json() == {"name": "vera", "role": "viewer", "endsAt": None}


async def test_an_order_with_a_cookie_needs_our_own_page(closed: ManagerRig) -> None:
    """No other origin, not even one of the same site, and a header that no form can send."""
    await sign_in(closed)
    path = f"{ALL}/echo/action"
    for headers, status in (
        (OWN | {"sec-fetch-site": "same-origin"}, 404),
        (OWN | {"origin": closed.url}, 404),
        ({"sec-fetch-site": "same-origin"}, 403),
        (OWN | {"sec-fetch-site": "same-site"}, 403),
        (OWN | {"sec-fetch-site": "cross-site"}, 403),
        (OWN | {"origin": "http://127.0.0.1:1"}, 403),
        (OWN | {"origin": "null"}, 403),
    ):
        answer = await closed.client.post(path, json={"action": "pause"}, headers=headers)
        assert (answer.status_code, headers) == (status, headers)
        assert answer.json()["code"] == {404: "unknown-agent", 403: "forbidden"}[status]


async def test_a_cookie_cannot_do_more_than_its_role(closed: ManagerRig) -> None:
    """A viewer looks."""
    await sign_in(closed, "viewer-key")
    assert (await closed.client.get(ALL)).status_code == 200
    answer = await closed.client.post(f"{ALL}/echo/action", json={"action": "pause"}, headers=OWN)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", f"{ALL}/echo/action"), ("POST", f"{ALL}/echo/execute"), ("POST", f"{ALL}/register"), ("POST", SESSION)],
)
async def test_a_page_of_elsewhere_orders_nothing_though_nobody_is_asked_who_they_are(
    rig: ManagerRig, method: str, path: str
) -> None:
    """A manager on loopback is within reach of every page that somebody opens on that machine."""
    await rig.adapter()
    answer = await rig.client.request(method, path, content=b"{}", headers={"origin": "http://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_the_cookie_reaches_no_agent(closed: ManagerRig) -> None:
    """Nor is its caller anybody but the key's name."""
    closed.client.headers["x-manager-token"] = "shared-secret"
    adapter = await closed.adapter()
    del closed.client.headers["x-manager-token"]
    await sign_in(closed)
    answer = await closed.client.post(f"{ALL}/echo/execute", json={"parameters": {}}, headers=OWN)
    assert answer.status_code == 200
    assert "cookie" not in adapter.calls[-1].headers
    assert adapter.calls[-1].headers["x-agent-caller"] == "ola"


async def test_guessing_is_refused_after_ten_failures(closed: ManagerRig) -> None:
    """Also with the right key; the wait is told, and each failure is counted."""
    for _ in range(MOST_FAILURES):
        assert (await sign_in(closed, "guess")).status_code == 401
    answer = await sign_in(closed)
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many-attempts")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    page = (await closed.client.get("/metrics?scope=self")).text
    assert f'agent_manager_auth_failures_total{{reason="unknown"}} {MOST_FAILURES}.0' in page
