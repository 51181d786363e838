"""Refused credentials, sessions and registrations are noted, and nobody can fill the log with them."""

from pathlib import Path
from typing import Any

import pytest
from agent_manager.access import Caller
from agent_manager.app import TABLE
from agent_manager.audit import DEEDS, MOST_OF_ALL, MOST_OF_ONE, OUTCOMES, WINDOW_SECONDS, Audit, Subject
from agent_manager.login_attempts import MOST_FAILURES
from structlog.testing import capture_logs

from tests.manager.local_issuer import AUDIENCE, issuing
from tests.manager.manager_rig import ALL
from tests.manager.stage import Stage
from tests.security.audit.records import OPERATOR, OWN, TOKEN, VIEWER, Audited, audited

SESSION = "/api/session"
PAGE = {"x-requested-with": "agent-console"}
KNOCKS = [
    ("GET", ALL, "look"),
    ("POST", f"{ALL}/echo/execute", "execute"),
    ("POST", f"{ALL}/echo/action", "order"),
    ("POST", f"{ALL}/register", "register"),
    ("POST", f"{ALL}/heartbeat", "report"),
    ("POST", f"{ALL}/unregister", "report"),
]
REGISTRATION = {"id": "echo", "instanceId": "i1", "serviceUrl": "http://127.0.0.1:9", "status": "running"}


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer guessed-key"}, {"x-manager-token": "guessed"}])
async def test_a_stranger_is_noted_with_their_address(desk: Audited, headers: dict[str, str]) -> None:
    """On routes of people, of adapters, and on the hot path; what was guessed is not."""
    for method, path, action in KNOCKS:
        answer = await desk.client.request(method, path, headers=headers)
        line = desk.audits()[-1]
        assert answer.status_code == 401
        assert (line["action"], line["outcome"], line["code"]) == (action, "refused", "unauthenticated")
        assert (line["from"], line["known_by"], "by" in line) == ("127.0.0.1", "none", False)
        assert "guessed" not in str(line)
    assert len(desk.audits()) == len(KNOCKS)
    assert await desk.count("report", "refused") == 2


async def test_an_agent_that_speaks_for_another_is_noted_by_its_own_name(desk: Audited) -> None:
    """Its token says whose it is."""
    answer = await desk.client.post(f"{ALL}/register", json={**REGISTRATION, "id": "other"}, headers=OWN)
    (line,) = desk.audits()
    assert (answer.status_code, line["code"], line["by"], line["known_by"]) == (403, "forbidden", "agent/echo", "token")
    assert (line["action"], line["agent"], line["instance_id"]) == ("register", "other", "i1")
    for route in ("heartbeat", "results", "unregister"):
        body: dict[str, Any] = {"id": "other", "instanceId": "i1", "status": "running", "reason": "stop", "results": []}
        assert (await desk.client.post(f"{ALL}/{route}", json=body, headers=OWN)).status_code == 403
    assert [line["by"] for line in desk.audits(action="report")] == ["agent/echo"] * 3


async def test_a_forbidden_service_url_is_noted(desk: Audited) -> None:
    """As log line and as event."""
    body = {**REGISTRATION, "serviceUrl": "http://169.254.169.254:80"}
    answer = await desk.client.post(f"{ALL}/register", json=body, headers=TOKEN)
    (line,) = desk.audits()
    assert (answer.status_code, line["code"], line["agent"]) == (403, "forbidden-service-url", "echo")
    assert "forbidden-service-url" in [event["code"] for event in await desk.events()]


async def test_a_registration_conflict_is_noted_and_is_one_event(desk: Audited) -> None:
    """The first at the address keeps it."""
    body = {**REGISTRATION, "serviceUrl": desk.adapter.url, "instanceId": "thief"}
    answer = await desk.client.post(f"{ALL}/register", json=body, headers=TOKEN)
    (line,) = desk.audits()
    assert (answer.status_code, line["code"], line["instance_id"]) == (409, "registration-conflict", "thief")
    assert [event["code"] for event in await desk.events()].count("registration-conflict") == 1


async def test_sign_in_an_order_and_sign_out_are_noted_by_name(desk: Audited) -> None:
    """The order says that the session was how one was known."""
    assert (await desk.client.post(SESSION, json={"key": "operator-key"})).status_code == 204
    assert (await desk.client.post(f"{ALL}/echo/action", json={"action": "pause"}, headers=PAGE)).status_code == 202
    assert (await desk.client.delete(SESSION, headers=PAGE)).status_code == 204
    noted = [(one["action"], one["outcome"], one["by"], one["known_by"]) for one in desk.audits(role="operator")]
    assert noted == [
        ("sign-in", "done", "ola", "key"),
        ("pause", "ordered", "ola", "session"),
        ("sign-out", "done", "ola", "session"),
    ]
    said = [(event["code"], event.get("by")) for event in await desk.events()]
    assert ("signed-in", "ola") in said
    assert ("signed-out", "ola") in said


async def test_who_was_not_signed_in_does_not_sign_out(desk: Audited) -> None:
    """A stranger writes no line with it."""
    assert (await desk.client.delete(SESSION)).status_code == 204
    assert desk.audits() == []


async def test_guessed_keys_are_noted_and_then_that_it_was_too_often(desk: Audited) -> None:
    """Ten lines, however often; the counter has all."""
    for _ in range(MOST_FAILURES + 5):
        await desk.client.post(SESSION, json={"key": "guessed-key"})
    lines = desk.audits(action="sign-in")
    assert [line["code"] for line in lines] == ["unauthenticated"] * MOST_OF_ONE
    assert "guessed" not in str(lines)
    assert await desk.count("sign-in", "refused") == MOST_FAILURES + 5


async def test_an_order_from_a_foreign_page_is_noted(desk: Audited) -> None:
    """With a cookie that the browser sent along."""
    await desk.client.post(SESSION, json={"key": "operator-key"})
    headers = PAGE | {"origin": "http://elsewhere.example"}
    answer = await desk.client.post(f"{ALL}/echo/action", json={"action": "stop"}, headers=headers)
    (line,) = desk.audits(outcome="refused")
    assert (answer.status_code, line["action"], line["code"]) == (403, "order", "forbidden")


async def test_a_viewer_who_executes_is_noted(desk: Audited) -> None:
    """By name, on the hot path too; an operator's call is not."""
    await desk.client.post(f"{ALL}/echo/execute", json={"parameters": {}}, headers=VIEWER)
    await desk.client.post(f"{ALL}/echo/execute", json={"parameters": {}}, headers=OPERATOR)
    (line,) = desk.audits()
    assert (line["action"], line["by"], line["outcome"]) == ("execute", "vera", "refused")


# --- bounds ---


async def test_a_stranger_s_long_name_is_cut(desk: Audited) -> None:
    """In the line and in the event, and it stays one line."""
    answer = await desk.client.post(f"{ALL}/{'x' * 2000}%0a/action", json={"action": "stop"})
    (line,) = desk.audits()
    assert (answer.status_code, len(line["agent"])) == (401, 128)
    assert max(len(event["agent"]) for event in await desk.events()) == 128


def written(audit: Audit, count: int, host: Any) -> list[Any]:
    """Give the lines of so many refusals, each from the address that `host` gives for its number."""
    with capture_logs() as lines:
        for number in range(count):
            audit.note(Subject(deed="look", host=host(number)), "refused", "unauthenticated", "unknown")
    return [line for line in lines if line["event"] == "audit"]


def test_a_stranger_cannot_fill_the_log_nor_the_events_and_others_are_still_noted() -> None:
    """A minute later the next line says how many were left out."""
    stage, counted = Stage(), []
    audit = Audit(stage.journal, lambda *facts: counted.append(facts), stage.clock)
    assert len(written(audit, 5000, lambda _: "192.0.2.1")) == MOST_OF_ONE
    assert len(written(audit, 1, lambda _: "192.0.2.2")) == 1
    stage.clock.now += WINDOW_SECONDS
    (line,) = written(audit, 1, lambda _: "192.0.2.1")
    assert "left_out" not in line  # the other address's line has said it
    assert len(counted) == 5002
    assert len(stage.journal.recent(10_000)) == MOST_OF_ONE + 2


def test_a_stranger_with_many_addresses_is_bounded_too() -> None:
    """One network of IPv6 counts as one address, and all of them share what there is."""
    stage = Stage()
    audit = Audit(stage.journal, lambda *_: None, stage.clock)
    assert len(written(audit, 1000, lambda number: f"2001:db8::{number:x}")) == MOST_OF_ONE
    assert len(written(audit, 1000, lambda number: f"10.0.{number // 250}.{number % 250}")) == MOST_OF_ALL - MOST_OF_ONE
    stage.clock.now += WINDOW_SECONDS
    (line,) = written(audit, 1, lambda _: "192.0.2.1")
    assert line["left_out"] == 1000 - (MOST_OF_ALL - MOST_OF_ONE)


def test_orders_are_never_left_out() -> None:
    """Whoever may order is known."""
    stage = Stage()
    audit = Audit(stage.journal, lambda *_: None, stage.clock)
    with capture_logs() as lines:
        for _ in range(1000):
            audit.note(Subject(deed="stop", caller=Caller("ola"), agent="echo"), "ordered")
    assert len([line for line in lines if line["event"] == "audit"]) == 1000


async def test_the_counter_has_a_series_of_every_kind_from_the_start_and_no_other(desk: Audited) -> None:
    """Whatever is asked for."""
    for path in ("/nothing", f"{ALL}/made-up/action", f"{ALL}/%0a/action"):
        await desk.client.post(path, json={"action": "x"}, headers={"authorization": "Bearer x"})
    page = (await desk.client.get("/metrics?scope=self")).text
    series = [line for line in page.splitlines() if line.startswith("agent_manager_audit_total{")]
    assert len(series) == len(DEEDS) * len(OUTCOMES)
    assert {route.audit for route in TABLE} < set(DEEDS)


async def test_a_person_of_an_issuer_is_noted_by_their_claim(tmp_path: Path) -> None:
    """With their role, or with none where they have none here."""
    async with issuing() as issuer:
        variables = {"MANAGER_OIDC_ISSUER": issuer.url, "MANAGER_OIDC_AUDIENCE": AUDIENCE}
        async with audited(tmp_path, **variables) as desk:
            for roles in (["operator"], ["somebody"]):
                headers = {"authorization": f"Bearer {issuer.token(roles=roles)}"}
                await desk.client.post(f"{ALL}/echo/action", json={"action": "pause"}, headers=headers)
            ordered, refused = desk.audits(known_by="oidc")
    assert ordered["by"].startswith("oidc:")
    assert (ordered["action"], ordered["outcome"], ordered["role"]) == ("pause", "ordered", "operator")
    assert (refused["by"], refused["outcome"], "role" in refused) == (ordered["by"], "refused", False)
