"""Who may do what: every route with no credential, a wrong one, another's, and the right one."""

import hashlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from agent_contract.loading import ConfigurationError
from agent_manager.access import Access, Caller, Who
from agent_manager.app import TABLE
from agent_manager.credentials import Credentials
from agent_manager.sessions import Sessions

from tests.manager.fake_adapter import FakeAdapter
from tests.manager.manager_rig import ALL, ManagerRig, running_manager
from tests.manager.stage import Clock

TOKEN = {"x-manager-token": "shared-secret"}
OWN = {"x-manager-token": "echo-secret"}
KEYS = {role: {"authorization": f"Bearer {role}-key"} for role in ("viewer", "operator", "admin")}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Give the environment of a manager that knows two tokens, an agent's own, and a key of each role."""
    (tmp_path / "tokens").write_text("shared-secret\nolder-secret\n")
    (tmp_path / "agents").write_text("# agent token\necho echo-secret\nother other-secret\n")
    hashed = hashlib.sha256(b"admin-key").hexdigest()
    (tmp_path / "keys").write_text(f"vera viewer viewer-key\nola operator operator-key\nada admin sha256:{hashed}\n")
    return {
        "MANAGER_TOKEN_FILE": str(tmp_path / "tokens"),
        "MANAGER_AGENT_TOKENS_FILE": str(tmp_path / "agents"),
        "MANAGER_API_KEYS_FILE": str(tmp_path / "keys"),
    }


@pytest.fixture
async def closed(files: dict[str, str]) -> AsyncIterator[ManagerRig]:
    """Give a manager that asks everyone who they are."""
    async with running_manager(environment=files) as rig:
        yield rig


async def answers(rig: ManagerRig, headers: dict[str, str], *who: Who) -> dict[str, tuple[int, str | None]]:
    """Give the status and the code of every route that only these may use, for an agent that does not exist."""
    found = {}
    for route in TABLE:
        if route.who in who:
            path = route.path.replace("{agent_id:str}", "echo").replace("{task_id:str}", "t")
            request = rig.client.stream(route.method, path.replace("{action_id:str}", "a"), headers=headers)
            async with request as answer:
                problem = answer.headers["content-type"].startswith("application/problem+json")
                code = msgspec.json.decode(await answer.aread())["code"] if problem else None
                found[f"{route.method} {route.path}"] = (answer.status_code, code)
    return found


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer nobody"}, {"x-manager-token": "wrong"}])
async def test_no_or_unknown_credentials_are_401(closed: ManagerRig, headers: dict[str, str]) -> None:
    """On every route but those for anyone."""
    found = await answers(closed, headers, Who.ADAPTER, Who.VIEWER, Who.OPERATOR, Who.CALLER)
    assert len(found) > 20
    assert set(found.values()) == {(401, "unauthenticated")}


async def test_the_manager_s_token_opens_what_adapters_use_and_nothing_else(closed: ManagerRig) -> None:
    """Their own routes, and execute for their agents' code."""
    opened = await answers(closed, TOKEN, Who.ADAPTER, Who.CALLER)
    shut = await answers(closed, TOKEN, Who.VIEWER, Who.OPERATOR)
    assert {status for status, _ in opened.values()} & {401, 403} == set()
    assert set(shut.values()) == {(401, "unauthenticated")}


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
async def test_a_role_opens_what_it_is_for(closed: ManagerRig, role: str) -> None:
    """A viewer looks, an operator orders too, an admin may all of it; none of them is an adapter."""
    looking = await answers(closed, KEYS[role], Who.VIEWER)
    ordering = await answers(closed, KEYS[role], Who.OPERATOR, Who.CALLER)
    adapting = await answers(closed, KEYS[role], Who.ADAPTER)
    assert {status for status, _ in looking.values()} & {401, 403} == set()
    if role == "viewer":
        assert set(ordering.values()) == {(403, "forbidden")}
    else:
        assert {status for status, _ in ordering.values()} & {401, 403} == set()
    assert set(adapting.values()) == {(401, "unauthenticated")}


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/api/prometheus/targets", "/schema"])
async def test_probes_and_scrapers_need_nothing(closed: ManagerRig, path: str) -> None:
    """They have no credential, and these say no secret."""
    assert (await closed.client.get(path)).status_code == 200


async def test_a_401_says_what_is_needed(closed: ManagerRig) -> None:
    """RFC 9110, 15.5.2."""
    viewer = await closed.client.get(ALL)
    adapter = await closed.client.post(f"{ALL}/heartbeat")
    assert viewer.headers["www-authenticate"] == 'Bearer realm="agent-manager"'
    assert adapter.headers["www-authenticate"] == 'X-Manager-Token realm="agent-manager"'


def messages(agent_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Give what an adapter says, in the name of this agent."""
    own = {"id": agent_id, "instanceId": "i1"}
    return [
        ("register", {**own, "serviceUrl": "http://127.0.0.1:8100"}),
        ("heartbeat", {**own, "status": "running"}),
        ("results", {**own, "results": []}),
        ("unregister", {**own, "reason": "stop"}),
    ]


@pytest.mark.parametrize("number", range(4))
async def test_an_agent_s_own_token_speaks_for_it_alone(closed: ManagerRig, number: int) -> None:
    """In another's name it is 403."""
    route, own = messages("echo")[number]
    assert (await closed.client.post(f"{ALL}/{route}", json=own, headers=OWN)).status_code not in (401, 403)
    route, others = messages("other")[number]
    answer = await closed.client.post(f"{ALL}/{route}", json=others, headers=OWN)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def connected(rig: ManagerRig) -> FakeAdapter:
    """Give an adapter that registered with the manager's token."""
    rig.client.headers.update(TOKEN)
    adapter = await rig.adapter()
    del rig.client.headers["x-manager-token"]
    return adapter


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        (KEYS["operator"], "ola"),
        (KEYS["operator"] | {"x-agent-caller": "agent/echo/t1"}, "ola"),
        (TOKEN | {"x-agent-caller": "agent/planner/t1"}, "agent/planner/t1"),
        (TOKEN, None),
        (TOKEN | {"x-agent-caller": "ola"}, None),
        (TOKEN | {"x-agent-caller": "agent/Planner/t1"}, None),
        (TOKEN | {"x-agent-caller": f"agent/planner/{'t' * 300}"}, None),
        (OWN | {"x-agent-caller": "agent/echo/t1"}, "agent/echo/t1"),
        (OWN | {"x-agent-caller": "agent/planner/t1"}, None),
    ],
)
async def test_the_caller_of_a_task_is_who_asked(
    closed: ManagerRig, headers: dict[str, str], caller: str | None
) -> None:
    """A key's name, or the calling task where an adapter's token vouches for it; nobody makes it up."""
    adapter = await connected(closed)
    answer = await closed.client.post(f"{ALL}/echo/execute", json={"parameters": {}}, headers=headers)
    assert answer.status_code == 200
    assert adapter.calls[-1].headers.get("x-agent-caller") == caller


async def test_without_tokens_every_caller_is_believed(rig: ManagerRig) -> None:
    """A local run has no secrets, and its agents call one another."""
    adapter = await rig.adapter()
    await rig.execute(x_agent_caller="agent/planner/t1")
    assert adapter.calls[-1].headers["x-agent-caller"] == "agent/planner/t1"


async def test_the_first_token_is_sent_to_adapters(closed: ManagerRig) -> None:
    """With each call and each question; a client's own never is."""
    adapter = await connected(closed)
    await closed.client.post(f"{ALL}/echo/execute", json={"parameters": {}}, headers=KEYS["operator"])
    await closed.client.get(f"{ALL}/echo/status", headers=KEYS["viewer"])
    assert set(adapter.tokens) == {"shared-secret"}


async def test_an_action_says_who_ordered_it(closed: ManagerRig) -> None:
    """By the key's name."""
    await connected(closed)
    closed.client.headers.update(KEYS["operator"])
    ordered = await closed.act("echo", "pause")
    assert (await closed.client.get(ordered.headers["location"])).json()["by"] == "ola"


async def test_refused_credentials_are_counted(closed: ManagerRig) -> None:
    """By why, from 0 on."""
    await closed.client.get(ALL)
    await closed.client.get(ALL, headers={"authorization": "Bearer nobody"})
    await closed.act("echo", "pause")
    page = (await closed.client.get("/metrics")).text
    assert 'agent_manager_auth_failures_total{reason="missing"} 2.0' in page
    assert 'agent_manager_auth_failures_total{reason="unknown"} 1.0' in page
    assert 'agent_manager_auth_failures_total{reason="other-agent"} 0.0' in page


async def test_no_secret_is_in_any_answer(closed: ManagerRig) -> None:
    """Neither those of the files nor those of the request."""
    adapter = await connected(closed)
    await closed.client.post(f"{ALL}/echo/execute", json={"parameters": {}}, headers=KEYS["operator"])
    await adapter.stop()
    closed.client.headers.update(KEYS["admin"])
    for path in (ALL, f"{ALL}/echo/status", f"{ALL}/echo/info", "/metrics", "/schema/openapi.json", "/nothing"):
        text = (await closed.client.get(path)).text
        assert [one for one in ("shared-secret", "echo-secret", "admin-key", "operator-key") if one in text] == []


# --- the files ---


def rewritten(path: str, text: str) -> None:
    """Write a file anew, with another time of change."""
    Path(path).write_text(text)
    os.utime(path, ns=(1, 1))


def test_a_rotated_file_is_read_again(files: dict[str, str]) -> None:
    """Within a second, without a restart."""
    clock = Clock()
    credentials = Credentials(files, clock)
    assert credentials.is_manager_token(b"older-secret")
    rewritten(files["MANAGER_TOKEN_FILE"], "newer-secret, shared-secret")
    rewritten(files["MANAGER_API_KEYS_FILE"], "vera viewer another-key")
    clock.now += 1
    assert [credentials.manager_token] == ["newer-secret"]
    assert credentials.is_manager_token(b"shared-secret")
    assert not credentials.is_manager_token(b"older-secret")
    assert credentials.key_of(b"viewer-key") is None
    key = credentials.key_of(b"another-key")
    assert key is not None
    assert key.name == "vera"


def test_a_file_that_cannot_be_understood_changes_nothing(files: dict[str, str]) -> None:
    """Half a rotation must not lock everyone out, nor let anyone in: what was known stays."""
    clock = Clock()
    credentials = Credentials(files, clock)
    rewritten(files["MANAGER_TOKEN_FILE"], "")
    rewritten(files["MANAGER_API_KEYS_FILE"], "vera chief key")
    clock.now += 1
    assert credentials.is_manager_token(b"shared-secret")
    assert credentials.key_of(b"viewer-key") is not None
    Path(files["MANAGER_TOKEN_FILE"]).unlink()
    clock.now += 1
    assert credentials.is_manager_token(b"shared-secret")


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("MANAGER_TOKEN_FILE", "\n", "holds no token"),
        ("MANAGER_AGENT_TOKENS_FILE", "echo", "line 1: write an agent id and its token"),
        ("MANAGER_AGENT_TOKENS_FILE", "\nEcho secret", "line 2: write an agent id and its token"),
        (
            "MANAGER_API_KEYS_FILE",
            "# nobody\nvera viewer",
            "line 2: write name, role (viewer, operator, admin) and key",
        ),
        ("MANAGER_API_KEYS_FILE", "vera chief key", "line 1: write name, role"),
        ("MANAGER_API_KEYS_FILE", "vera viewer sha256:abc", "line 1: a hash is sha256: and 64 hex digits"),
        ("MANAGER_API_KEYS_FILE", "véra viewer key", "line 1: a name has 1 to 64 visible ASCII characters"),
    ],
)
def test_a_bad_file_stops_the_start_and_is_named(tmp_path: Path, variable: str, text: str, said: str) -> None:
    """With the line, and never with what stands in it."""
    (tmp_path / "file").write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        Credentials({variable: str(tmp_path / "file")}, Clock())
    assert raised.value.path == variable
    assert said in raised.value.reason
    assert "secret" not in str(raised.value)


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    """A manager that runs open because a mount failed is worse than none."""
    with pytest.raises(ConfigurationError, match="MANAGER_API_KEYS_FILE: cannot read"):
        Credentials({"MANAGER_API_KEYS_FILE": str(tmp_path / "nothing")}, Clock())


def test_tokens_may_stand_in_the_environment() -> None:
    """One a line or comma-separated; the first is sent, all are accepted."""
    credentials = Credentials({"MANAGER_TOKEN": "one,two"}, Clock())
    assert [credentials.manager_token] == ["one"]
    assert credentials.is_manager_token(b"two")
    assert credentials.closes_adapter_routes
    assert not credentials.closes_client_routes


def test_the_adapters_routes_close_with_an_agent_s_own_token_alone(tmp_path: Path) -> None:
    """As soon as one is configured."""
    (tmp_path / "agents").write_text("echo secret")
    credentials = Credentials({"MANAGER_AGENT_TOKENS_FILE": str(tmp_path / "agents")}, Clock())
    access = Access(credentials, Sessions(credentials, lambda: datetime.now(UTC)), lambda _: None)
    assert credentials.closes_adapter_routes
    assert access.check(Who.ADAPTER, {b"x-manager-token": b"secret"}) == Caller(
        agent_id="echo", token=b"secret", known_by="token"
    )
    assert access.check(Who.VIEWER, {}) == Caller()
