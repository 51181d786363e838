"""The manager itself: alive, ready, its version, its metrics, its pages, its API as a document."""

import gzip
import re
from typing import Any

import jsonschema
import msgspec
import pytest
from agent_contract.problems import STATUS_OF
from agent_manager.app import TABLE
from agent_manager.metrics import BUCKETS

from tests.manager.manager_rig import ALL, ManagerRig

FAMILIES = {
    "instances": "gauge",
    "instance_up": "gauge",
    "held_requests": "gauge",
    "desired_state": "gauge",
    "mass_loss_guard": "gauge",
    "leader": "gauge",
    "grace_cut_ratio": "gauge",
    "grace_tasks": "gauge",
    "grace_needed_seconds": "gauge",
    "watch_up": "gauge",
    "watch_last_event_timestamp_seconds": "gauge",
    "info": "gauge",
    "forward_requests_total": "counter",
    "forward_retries_total": "counter",
    "registrations_total": "counter",
    "instances_purged_total": "counter",
    "actions_total": "counter",
    "auth_failures_total": "counter",
    "audit_total": "counter",
    "watch_restarts_total": "counter",
    "metrics_refused_total": "counter",
    "forward_duration_seconds": "histogram",
    "drains_total": "counter",
    "drain_tasks_cut_total": "counter",
    "drain_duration_seconds": "histogram",
}


async def page(rig: ManagerRig) -> str:
    """Give the manager's own metrics."""
    return (await rig.client.get("/metrics", params={"scope": "self"})).text


async def test_it_is_alive(rig: ManagerRig) -> None:
    """While the event loop turns."""
    assert await rig.get("/health") == {"status": "ok"}


async def test_it_says_that_it_is_ready(rig: ManagerRig) -> None:
    """With the sources that have not listed."""
    await rig.until(lambda: "static" in rig.manager.registry.listed_at)
    assert await rig.get("/ready") == {"status": "ready", "stale": []}


async def test_it_is_unready_when_it_leaves(rig: ManagerRig) -> None:
    """The only way back to 503; it is alive all the same."""
    rig.manager.readiness.withdraw()
    assert (await rig.client.get("/ready")).status_code == 503
    assert (await rig.client.get("/health")).status_code == 200


async def test_it_says_its_version(rig: ManagerRig) -> None:
    """And since when it runs."""
    found = await rig.get("/api/version")
    assert list(found) == ["version", "commit", "startedAt"]
    assert re.match(r"\d+\.\d+", found["version"])


# --- metrics ---


async def test_every_family_is_there_from_the_start(rig: ManagerRig) -> None:
    """With HELP and TYPE, before anything has happened; and no family that was not promised."""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", await page(rig), re.MULTILINE))
    helped = re.findall(r"^# HELP (\S+) \S+", await page(rig), re.MULTILINE)
    assert types == {f"agent_manager_{name}": kind for name, kind in FAMILIES.items()}
    assert set(helped) == set(types)


async def test_closed_label_sets_start_at_0(rig: ManagerRig) -> None:
    """A counter that is born at 1 never shows an increase."""
    await rig.adapter()
    text = await page(rig)
    for series in (
        'actions_total{action="restart",outcome="failed"} 0.0',
        'auth_failures_total{reason="role"} 0.0',
        'instances_purged_total{reason="expired"} 0.0',
        'drains_total{agent="echo",outcome="lost"} 0.0',
        'drain_tasks_cut_total{agent="echo"} 0.0',
        'forward_retries_total{agent="echo",reason="stopping"} 0.0',
        'forward_requests_total{agent="echo",code="200"} 0.0',
        'drain_duration_seconds_count{agent="echo"} 0.0',
        'grace_cut_ratio{agent="echo"} 0.0',
    ):
        assert f"agent_manager_{series}\n" in text


async def test_durations_have_the_promised_buckets(rig: ManagerRig) -> None:
    """Up to an hour."""
    await rig.adapter()
    for name in ("forward_duration_seconds", "drain_duration_seconds"):
        bounds = re.findall(rf'agent_manager_{name}_bucket{{agent="echo",le="([^"]+)"}}', await page(rig))
        assert [float(bound) for bound in bounds] == [*BUCKETS, float("inf")]


async def test_gauges_follow_the_fleet(rig: ManagerRig) -> None:
    """As it is when somebody looks."""
    adapter = await rig.adapter(status="paused")
    await rig.act("echo", "pause")
    text = await page(rig)
    assert 'agent_manager_instances{agent="echo",state="paused"} 1.0' in text
    assert 'agent_manager_instances{agent="echo",state="running"} 0.0' in text
    assert f'agent_manager_instance_up{{agent="echo",instance_id="{adapter.instance_id}"}} 1.0' in text
    assert 'agent_manager_desired_state{agent="echo",state="paused"} 1.0' in text
    assert "agent_manager_registrations_total 1.0" in text


@pytest.mark.parametrize(("cut", "outcome"), [(0, "clean"), (2, "cut")])
async def test_drains_are_counted_as_they_were_reported(rig: ManagerRig, cut: int, outcome: str) -> None:
    """What an instance says as it leaves outlives it."""
    adapter = await rig.adapter()
    report = {"reason": "stop", "durationSeconds": 7.5, "finishedTasks": 3, "cutTasks": cut}
    body = {"id": "echo", "instanceId": adapter.instance_id, "reason": "stop", "drain": report}
    await rig.client.post(f"{ALL}/unregister", json=body)
    text = await page(rig)
    assert f'agent_manager_drains_total{{agent="echo",outcome="{outcome}"}} 1.0' in text
    assert f'agent_manager_drain_tasks_cut_total{{agent="echo"}} {cut}.0' in text
    assert 'agent_manager_drain_duration_seconds_sum{agent="echo"} 7.5' in text
    assert 'agent_manager_instances_purged_total{reason="expired"} 0.0' in text


async def test_a_drain_without_a_last_word_is_lost(rig: ManagerRig) -> None:
    """And its instance was purged."""
    adapter = await rig.adapter()
    adapter.state = "stopping"
    await rig.beat(adapter)
    rig.manager.registry._roster.drop(rig.instance(adapter), "expired", rig.manager.clock())
    text = await page(rig)
    assert 'agent_manager_drains_total{agent="echo",outcome="lost"} 1.0' in text
    assert 'agent_manager_instances_purged_total{reason="expired"} 1.0' in text


async def test_the_page_is_in_the_format_that_is_asked_for(rig: ManagerRig) -> None:
    """OpenMetrics and gzip where the scraper understands them."""
    plain = await rig.client.get("/metrics", headers={"accept": "text/plain", "accept-encoding": "identity"})
    assert plain.headers["content-type"].startswith("text/plain")
    assert "content-encoding" not in plain.headers
    headers = {"accept": "application/openmetrics-text;version=1.0.0", "accept-encoding": "gzip"}
    async with rig.client.stream("GET", "/metrics", headers=headers) as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert gzip.decompress(raw).endswith(b"# EOF\n")


# --- pages ---


async def test_pages_run_no_script_of_elsewhere(rig: ManagerRig) -> None:
    """A strict policy, no inline script, every asset from here."""
    for path in ("/", "/schema"):
        answer = await rig.client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy.partition("style-src")[0]
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert re.findall(r"<script(?! src=\"/)", answer.text) == []
        assert re.findall(r"(?:src|href)=\"(?:https?:)?//", answer.text) == []


async def test_every_asset_of_the_page_is_there(rig: ManagerRig) -> None:
    """With a type that the browser believes."""
    text = (await rig.client.get("/schema")).text
    assets = re.findall(r'(?:src|href)="(/schema/assets/[^"]+)"', text)
    assert len(assets) == 4
    for asset in assets:
        answer = await rig.client.get(asset)
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_no_asset_leads_out_of_its_folder(rig: ManagerRig) -> None:
    """Only those that are named."""
    for name in ("..%2f__init__.py", "index.html", "%2fetc%2fpasswd"):
        assert (await rig.client.get(f"/schema/assets/{name}")).status_code == 404


# --- the document ---


async def document(rig: ManagerRig) -> Any:
    """Give the OpenAPI document."""
    return await rig.get("/schema/openapi.json")


async def test_every_route_is_in_the_document(rig: ManagerRig) -> None:
    """The raw ones too, with their bodies and problems."""
    found = await document(rig)
    assert found["openapi"] == "3.1.0"
    assert sum(len(operations) for operations in found["paths"].values()) == len(TABLE)
    execute = found["paths"]["/api/agent-services/{agentId}/execute"]["post"]
    assert execute["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/ExecuteRequest"
    }
    assert "text/event-stream" in execute["responses"]["200"]["content"]
    assert "outcome-unknown" in execute["responses"]["502"]["description"]
    assert "outcome-unknown" in execute["responses"]["504"]["description"]
    assert {"Idempotency-Key", "Prefer"} <= {one["name"] for one in execute["parameters"]}


async def test_every_reference_of_the_document_leads_somewhere(rig: ManagerRig) -> None:
    """And each schema is one (JSON Schema 2020-12)."""
    found = await document(rig)
    text = msgspec.json.encode(found).decode()
    names = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert names <= set(found["components"]["schemas"])
    for schema in found["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


async def test_operations_have_names_of_their_own(rig: ManagerRig) -> None:
    """A generated client has a function for each."""
    operations = [one for path in (await document(rig))["paths"].values() for one in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert sorted(names) == sorted(set(names))


def test_every_problem_of_the_table_is_a_known_code() -> None:
    """A reader finds it in the docs."""
    assert {code for route in TABLE for code in route.problems} <= set(STATUS_OF)


async def test_answers_are_as_the_document_says(rig: ManagerRig) -> None:
    """Those of the routes that show something."""
    await rig.adapter()
    found = await document(rig)
    for path in ("/api/agent-services", "/api/agent-services/{agentId}", "/api/version", "/api/tasks"):
        schema = found["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        whole = {**schema, "components": found["components"]}
        jsonschema.Draft202012Validator(whole).validate(await rig.get(path.replace("{agentId}", "echo")))
