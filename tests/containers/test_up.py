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

from tests.containers.stack import ROOT, Stack
from tests.system.test_readme import CALLS, comparable

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

DASHBOARDS = ROOT / "deploy" / "compose" / "grafana" / "dashboards"
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
        found[:] = _ask(observed, "targets", state="active")["activeTargets"]
        return len(found) == 5 and {target["health"] for target in found} == {"up"}

    _until(all_up)
    agents = sorted(target["labels"]["agent"] for target in found if target["labels"]["job"] == "agents")
    assert agents == ["executor", "executor", "planner", "retriever"]


@pytest.mark.parametrize("path", sorted(DASHBOARDS.glob("*.json")), ids=lambda path: str(path.stem))
def test_every_expression_of_a_dashboard_has_data(observed: Stack, path: Path) -> None:
    """No panel is empty once there were calls."""
    with httpx.Client(base_url=f"http://127.0.0.1:{observed.port}", trust_env=False) as http:
        body = {"parameters": {"steps": [{"calculate": "1 + 1"}]}}
        assert http.post("/api/agent-services/executor/execute", json=body).status_code == 200
    panels = json.loads(path.read_text())["panels"]
    waiting = {target["expr"] for panel in panels for target in panel["targets"]}
    assert waiting

    def all_have_data() -> bool:
        with httpx.Client(base_url=f"http://127.0.0.1:{observed.port}", trust_env=False) as http:
            http.post("/api/agent-services/executor/execute", json=body)
        for expression in list(waiting):
            if _ask(observed, "query", query=expression)["result"]:
                waiting.discard(expression)
        return not waiting

    with contextlib.suppress(TimeoutError):
        _until(all_have_data)
    assert waiting == set()


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


def _ask(stack: Stack, route: str, **query: str) -> Any:
    url = f"http://127.0.0.1:{stack.prometheus_port}/api/v1/{route}"
    return httpx.get(url, params=query, trust_env=False).json()["data"]


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 45
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("not within 45 s")
        time.sleep(0.5)
