"""`docker compose up --wait` on a fresh clone: the README's calls, metrics that Prometheus finds, and a closed door."""

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.dashboards.show import asked
from tests.containers.stack import ROOT, Stack
from tests.system.fleet import free_port
from tests.system.test_readme import CALLS, comparable

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ONLY_IN_A_CLUSTER = "agent_manager_watch_"
ALONE = """
global: {scrape_interval: 2s}
scrape_configs: [{job_name: agent-manager, static_configs: [{targets: ["manager:8080"]}]}]
"""
OURS = ["manager", "planner", "retriever", "executor"]


@pytest.fixture(scope="module")
def observed(images: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give the project as it is, with Prometheus beside it (Grafana's image is not on every machine)."""
    del images
    services = [*OURS, "prometheus"]
    with Stack(tmp_path_factory.mktemp("observed"), profile="observability", services=services) as up:
        yield up


@pytest.mark.parametrize(("command", "shown"), CALLS, ids=[str(number) for number in range(len(CALLS))])
def test_a_call_of_the_readme_gives_what_stands_there(observed: Stack, command: str, shown: str) -> None:
    """The same calls as of a local run, with the same results."""
    here = command.replace(":8080", f":{observed.port}")
    ran = subprocess.run(["bash", "-c", here], check=True, capture_output=True, text=True)
    assert comparable(json.loads(ran.stdout)) == comparable(json.loads(shown))


def test_agentctl_is_in_the_managers_container(observed: Stack) -> None:
    """Whoever has compose needs nothing else to look and to steer."""
    listed = observed.run("exec", "-T", "manager", "agentctl", "get", "agents", "-o", "json")
    assert {agent["id"]: agent["readyInstances"] for agent in json.loads(listed)["agents"]} == {
        "planner": 1,
        "retriever": 1,
        "executor": 2,
    }


def test_nothing_but_loopback_is_published(observed: Stack) -> None:
    """Who may do everything is whoever is on this machine."""
    published = [
        (container.Service, publisher.URL)
        for container in observed.compose.get_containers()
        for publisher in container.Publishers or []
        if publisher.PublishedPort
    ]
    assert published
    assert {address for _, address in published} == {"127.0.0.1"}
    assert {service for service, _ in published} == {"manager", "prometheus"}


def test_prometheus_scrapes_the_manager_and_every_instance_that_it_lists(observed: Stack) -> None:
    """All targets are up, the configuration is what promtool takes."""
    observed.run("exec", "-T", "prometheus", "promtool", "check", "config", "/etc/prometheus/prometheus.yml")
    found: list[dict[str, Any]] = []

    def all_up() -> bool:
        found[:] = _ask(observed.prometheus_port, "targets", state="active")["activeTargets"]
        return len(found) == 5 and {target["health"] for target in found} == {"up"}

    _until(all_up)
    agents = sorted(target["labels"]["agent"] for target in found if target["labels"]["job"] == "agents")
    assert agents == ["executor", "executor", "planner", "retriever"]


def test_prometheus_takes_the_alerts_and_the_pages(observed: Stack) -> None:
    """By its own tools: each alert fires when it should and not when it should not, no metric is against the rules."""

    def promtool(command: str) -> str:
        return observed.run("exec", "-T", "prometheus", "sh", "-ec", command)

    promtool("promtool check rules /etc/prometheus/alerts/agents.yaml")
    promtool("promtool test rules /etc/prometheus/alerts/agents_test.yaml")
    for page in ("manager:8080/metrics", "planner:8100/metrics", "manager:8080/metrics?scope=self"):
        assert promtool(f"wget -qO- 'http://{page}' | promtool check metrics") == ""
    groups = _ask(observed.prometheus_port, "rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}


@pytest.fixture(scope="module")
def alone(observed: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Give the port of a Prometheus that scrapes the manager alone, whose page has the series of all."""
    configuration = tmp_path_factory.mktemp("alone") / "prometheus.yml"
    configuration.write_text(ALONE)
    configuration.parent.chmod(0o755)
    port = free_port()
    container = observed.docker.containers.run(
        "prom/prometheus:v3",
        ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"],
        network=f"{observed.project}_default",
        ports={"9090/tcp": ("127.0.0.1", port)},
        volumes={str(configuration): {"bind": "/etc/prometheus/prometheus.yml", "mode": "ro"}},
        detach=True,
    )
    try:
        yield port
    finally:
        container.remove(force=True, v=True)


def test_every_panel_has_data_whoever_is_scraped(observed: Stack, alone: int) -> None:
    """Under load and over a restart: no expression of a dashboard is empty, in either way to scrape; exemplars too."""
    waiting = {
        (port, one.expression)
        for one in asked()
        for port in (observed.prometheus_port, alone)
        if ONLY_IN_A_CLUSTER not in one.expression
    }
    assert len(waiting) > 100
    agents = "/api/agent-services/executor"
    with httpx.Client(base_url=f"http://127.0.0.1:{observed.port}", trust_env=False, timeout=30) as http:
        assert http.post(f"{agents}/action", json={"action": "restart"}).status_code == 202

        def all_have_data() -> bool:
            for _ in range(5):
                body = {"parameters": {"steps": [{"calculate": "1 + 1"}]}}
                http.post(f"{agents}/execute", json=body, headers={"traceparent": TRACEPARENT})
            http.post("/api/agent-services/nobody/execute", json={"parameters": {}})
            for port, expression in list(waiting):
                if _ask(port, "query", query=expression)["result"]:
                    waiting.discard((port, expression))
            return not waiting

        with contextlib.suppress(TimeoutError):
            _until(all_have_data)
    assert waiting == set()
    for name in ("agent_task_duration_seconds_bucket", "agent_manager_forward_duration_seconds_bucket"):
        (first, *_) = _ask(observed.prometheus_port, "query_exemplars", query=name, start="0", end="9999999999")
        assert first["exemplars"][0]["labels"] == {"trace_id": TRACEPARENT.split("-")[1]}


def test_a_closed_project_asks_who_calls(images: Any, tmp_path: Path) -> None:
    """With the secrets of the docs: agents register by the token, a caller needs a key, a viewer may only look."""
    del images
    (tmp_path / "manager-token").write_text("a-token-of-adapters-and-managers-alone\n")
    keys = {"anna": "operator", "vic": "viewer"}
    (tmp_path / "api-keys").write_text(
        "".join(f"{name} {role} key-of-{name}-long-enough\n" for name, role in keys.items())
    )
    for secret in ("manager-token", "api-keys"):
        (tmp_path / secret).chmod(0o644)
    with Stack(tmp_path, ROOT / "deploy" / "compose" / "closed.yaml", services=OURS) as closed:
        with httpx.Client(base_url=f"http://127.0.0.1:{closed.port}", trust_env=False) as http:
            path, body = "/api/agent-services/executor/execute", {"parameters": {"steps": [{"calculate": "6 * 7"}]}}

            def answer(name: str) -> int:
                key = {"Authorization": f"Bearer key-of-{name}-long-enough"} if name else {}
                return http.post(path, json=body, headers=key).status_code

            assert [answer(name) for name in ("", "nobody", "vic", "anna")] == [401, 401, 403, 200]
            forged = {"id": "executor", "serviceUrl": "http://127.0.0.1:8100", "instanceId": "x"}
            assert http.post("/api/agent-services/register", json=forged).status_code == 401
        (executor, _) = closed.containers("executor")
        assert executor.exec_run(["healthy"]).exit_code == 0
        direct = "import urllib.request as u; u.urlopen('http://127.0.0.1:8100/status')"
        assert b"401" in executor.exec_run(["python", "-c", direct]).output


def _ask(port: int, route: str, **query: str) -> Any:
    url = f"http://127.0.0.1:{port}/api/v1/{route}"
    return httpx.get(url, params=query, trust_env=False).json()["data"]


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 45
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("not within 45 s")
        time.sleep(0.5)
