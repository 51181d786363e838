"""Whatever a client gets wrong is a problem with a code, and nothing that it sends is a 500."""

import asyncio
from typing import Any

import pytest

from tests.manager.manager_rig import ALL, ManagerRig

DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
MEMBERS = ["type", "title", "status", "detail", "code"]


async def problem(rig: ManagerRig, method: str, path: str, **parts: Any) -> dict[str, Any]:
    """Give the problem that a request gets."""
    answer = await rig.client.request(method, path, **parts)
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert list(found)[:5] == MEMBERS
    assert found["status"] == answer.status_code
    return found


@pytest.mark.parametrize("path", ["/nothing", "/api", f"{ALL}/echo/nothing", "/schema/assets/nothing.js"])
async def test_no_such_route_is_404(rig: ManagerRig, path: str) -> None:
    """Below every prefix."""
    found = await problem(rig, "GET", path)
    assert (found["status"], found["code"]) == (404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", ALL, {"GET"}),
        ("DELETE", f"{ALL}/echo/status", {"GET"}),
        ("POST", f"{ALL}/echo/drain", {"GET", "PATCH", "DELETE"}),
        ("GET", f"{ALL}/echo/execute", {"POST"}),
        ("GET", f"{ALL}/heartbeat", {"POST"}),
        ("PUT", f"{ALL}/register", {"POST"}),
        ("POST", "/metrics", {"GET"}),
    ],
)
async def test_a_wrong_method_is_405_with_those_that_are_right(
    rig: ManagerRig, method: str, path: str, allowed: set[str]
) -> None:
    """`Allow` names them (RFC 9110, 15.5.6)."""
    answer = await rig.client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) - {"OPTIONS"} == allowed


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"{ALL}?watch=maybe", "watch"),
        (f"{ALL}/echo/logs?lines=0", "lines"),
        (f"{ALL}/echo/logs?lines=5001", "lines"),
        (f"{ALL}/echo/logs?lines=-1", "lines"),
        (f"{ALL}/echo/logs?lines=1e3", "lines"),
        (f"{ALL}/echo/logs?lines=%D9%A1", "lines"),
        (f"{ALL}/echo/logs?lines={'9' * 5000}", "lines"),
        (f"{ALL}/echo/logs?follow=2", "follow"),
        (f"{ALL}/echo/logs?instanceId={'x' * 129}", "instanceId"),
        (f"{ALL}/echo/drain?instanceId=", "instanceId"),
        (f"{ALL}/echo/tasks?state=odd", "state"),
        (f"{ALL}/echo/tasks?limit=0", "limit"),
        ("/api/tasks?limit=x", "limit"),
        ("/api/tasks?state=", "state"),
        ("/metrics?scope=theirs", "scope"),
    ],
)
async def test_a_wrong_query_value_is_400_with_its_name(rig: ManagerRig, path: str, field: str) -> None:
    """Whether or not the agent exists."""
    await rig.adapter()
    found = await problem(rig, "GET", path)
    assert (found["status"], found["code"], found["field"]) == (400, "bad-request", field)


@pytest.mark.parametrize("path", ["status", "info", "drain", "tasks", "tasks/t", "actions", "actions/a", "logs", ""])
async def test_an_unknown_agent_is_404(rig: ManagerRig, path: str) -> None:
    """On every route that is about one."""
    found = await problem(rig, "GET", f"{ALL}/nobody/{path}")
    assert (found["status"], found["code"]) == (404, "unknown-agent")


@pytest.mark.parametrize("path", ["logs", "drain"])
async def test_an_unknown_instance_is_404(rig: ManagerRig, path: str) -> None:
    """Also where a stream is asked for: it would stay empty."""
    await rig.adapter()
    for query in ("?instanceId=nobody", "?instanceId=nobody&follow=true"):
        found = await problem(rig, "GET", f"{ALL}/echo/{path}{query}")
        assert (found["status"], found["code"]) == (404, "unknown-instance")


BODIES = [
    pytest.param("POST", f"{ALL}/register", id="register"),
    pytest.param("POST", f"{ALL}/heartbeat", id="heartbeat"),
    pytest.param("POST", f"{ALL}/results", id="results"),
    pytest.param("POST", f"{ALL}/unregister", id="unregister"),
    pytest.param("POST", f"{ALL}/echo/action", id="action"),
    pytest.param("PATCH", f"{ALL}/echo/drain", id="drain"),
]


@pytest.mark.parametrize(("method", "path"), BODIES)
async def test_a_body_that_cannot_be_read_is_400(rig: ManagerRig, method: str, path: str) -> None:
    """However it is broken; nothing of it is executed, and nothing of it is a 500."""
    for body in (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", DEEP[:60_000], b'{"id":1}', b"{" * 50_000):
        found = await problem(rig, method, path, content=body)
        assert (found["status"], found["code"]) == (400, "bad-request"), body[:20]
        assert found["field"]


@pytest.mark.parametrize(("method", "path"), BODIES)
async def test_a_body_of_another_type_is_415(rig: ManagerRig, method: str, path: str) -> None:
    """A form is no JSON; saying nothing counts as JSON."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    found = await problem(rig, method, path, content=b"a=b", headers=headers)
    assert (found["status"], found["code"]) == (415, "unsupported-media-type")


@pytest.mark.parametrize("path", [f"{ALL}/echo/action", f"{ALL}/heartbeat", f"{ALL}/register"])
async def test_a_deep_body_is_400(rig: ManagerRig, path: str) -> None:
    """A hundred thousand levels: the decoder gives up in order."""
    body = DEEP if "heartbeat" in path or "register" in path else DEEP[:65_000]
    found = await problem(rig, "POST", path, content=body)
    assert (found["status"], found["code"]) == (400, "bad-request")


async def test_an_order_that_is_too_large_is_413(rig: ManagerRig) -> None:
    """64 KiB are enough for any."""
    found = await problem(rig, "POST", f"{ALL}/echo/action", content=b" " * 70_000)
    assert (found["status"], found["code"]) == (413, "body-too-large")


@pytest.mark.parametrize("body", [DEEP, b"{", b"", b"\xff"])
async def test_execute_leaves_the_body_to_the_adapter(rig: ManagerRig, body: bytes) -> None:
    """The manager does not look at it: whatever it is, the adapter says what is wrong."""
    adapter = await rig.adapter()
    adapter.execute = lambda call: call.answer("taken")
    answer = await rig.client.post(f"{ALL}/echo/execute", content=body)
    assert answer.status_code == 200
    assert adapter.calls[0].body == body


@pytest.mark.parametrize("agent", ["a%2Fb", "..", "%00", "a%0d%0aX-Evil:1", "x" * 3000, "%F0%9F%A6%8A", "register"])
async def test_an_odd_agent_id_is_unknown(rig: ManagerRig, agent: str) -> None:
    """It is looked up and never becomes part of a URL."""
    answer = await rig.client.post(f"{ALL}/{agent}/execute", json={"parameters": {}})
    assert answer.status_code == 404
    assert "x-evil" not in answer.headers


async def test_an_error_of_our_own_is_a_plain_500(rig: ManagerRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what went wrong, which is in the log; the next request is served."""

    def fail(_: str) -> bytes:
        raise LookupError("a secret of ours")

    monkeypatch.setattr(rig.manager.listing, "agent", fail)
    found = await problem(rig, "GET", f"{ALL}/echo")
    assert (found["status"], found["code"]) == (500, "internal-error")
    assert "secret" not in str(found)
    assert (await rig.client.get("/health")).status_code == 200


async def test_an_error_in_a_call_is_a_plain_500(rig: ManagerRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the hot path too, and it is counted."""

    def fail(*_: Any) -> None:
        raise LookupError("a secret of ours")

    await rig.adapter()
    monkeypatch.setattr(rig.manager.registry, "pick", fail)
    found = await problem(rig, "POST", f"{ALL}/echo/execute", json={"parameters": {}})
    assert (found["status"], found["code"]) == (500, "internal-error")
    page = (await rig.client.get("/metrics")).text
    assert 'agent_manager_forward_requests_total{agent="echo",code="500"} 1.0' in page


async def test_a_client_that_leaves_in_the_middle_of_its_body_costs_nothing(rig: ManagerRig) -> None:
    """Nobody is there to answer."""
    adapter = await rig.adapter()
    host, port = rig.url.removeprefix("http://").split(":")
    for path in (f"{ALL}/echo/execute", f"{ALL}/echo/action", f"{ALL}/heartbeat"):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    await rig.until(lambda: rig.server.in_flight == 0)
    assert adapter.calls == []
    assert adapter.actions == []
