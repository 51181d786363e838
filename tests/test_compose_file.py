"""What docker-compose.yml promises, read without an engine."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from agent_contract.loading import load_file, merged
from msgspec import UNSET

ROOT = Path(__file__).parent.parent
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
CONFIGURATION = load_file(ROOT / "config" / "agents.config.json")
SPARE_SECONDS = 5
"""Behind the drain, for last words, exit handlers and the engine."""


def seconds(text: str) -> int:
    """Give a duration of whole seconds."""
    assert text.endswith("s")
    return int(text.removesuffix("s"))


@pytest.mark.parametrize("agent", CONFIGURATION.agents, ids=lambda agent: str(agent.id))
def test_an_agent_may_drain_as_long_as_its_configuration_says(agent: Any) -> None:
    """The engine waits longer than the drain lasts before it kills, and the adapter knows how long it waits."""
    drain = merged(agent, CONFIGURATION.defaults).drain_timeout_seconds
    drain = CONFIGURATION.runtime.drain_timeout_seconds if drain is UNSET else drain
    service = SERVICES[agent.id]
    assert seconds(service["stop_grace_period"]) == drain + SPARE_SECONDS
    assert service["environment"]["TERMINATION_GRACE_SECONDS"] == str(seconds(service["stop_grace_period"]))
    assert service["environment"]["AGENT_ID"] == agent.id


def test_the_manager_may_drain_as_long_as_its_configuration_says() -> None:
    """Its forwards have their time."""
    runtime = CONFIGURATION.runtime
    longest = runtime.manager_quiet_seconds + runtime.manager_drain_timeout_seconds
    assert seconds(SERVICES["manager"]["stop_grace_period"]) == longest + SPARE_SECONDS


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_confined(name: str) -> None:
    """A read-only root, no capability, no new privileges, a pinned image, and no port beyond loopback."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.search(r":(?!latest)[\w.${}:-]+$", service["image"])
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_a_stop_through_the_manager_lasts() -> None:
    """An agent that exits 0 stays down, one that crashes is started again, and so is the manager always."""
    assert {name: SERVICES[name]["restart"] for name in ("manager", "planner", "retriever", "executor")} == {
        "manager": "unless-stopped",
        "planner": "on-failure",
        "retriever": "on-failure",
        "executor": "on-failure",
    }


def test_the_example_of_settings_names_every_variable_with_its_default() -> None:
    """A reader of .env.example finds each variable that the compose files fill in."""
    files = [ROOT / "docker-compose.yml", ROOT / "deploy" / "compose" / "closed.yaml"]
    used = {pair for file in files for pair in re.findall(r"\$\{(\w+):-([^}]*)\}", file.read_text())}
    shown = dict(re.findall(r"^#(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    del shown["OTEL_EXPORTER_OTLP_ENDPOINT"]  # shown as it is with the collector
    used.discard(("OTEL_EXPORTER_OTLP_ENDPOINT", ""))
    assert {name: shown.pop(name, None) for name, _ in used} == dict(used)
    assert set(shown) == {"COMPOSE_PROFILES", "COMPOSE_FILE"}


def test_dashboards_and_alerts_are_those_that_are_made_for_everyone() -> None:
    """Grafana finds the dashboards where they are mounted, and they ask for the kind of source that is provisioned."""
    grafana = ROOT / "deploy" / "compose" / "grafana"
    (source,) = yaml.safe_load((grafana / "datasources.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((grafana / "dashboards.yaml").read_text())["providers"]
    mounted = dict(volume.split(":")[1::-1] for volume in SERVICES["grafana"]["volumes"])
    assert mounted[provider["options"]["path"]] == "./deploy/dashboards"
    for path in (ROOT / "deploy" / "dashboards").glob("*.json"):
        chosen = [
            one["query"] for one in json.loads(path.read_text())["templating"]["list"] if one["name"] == "datasource"
        ]
        assert chosen == [source["type"]]
    prometheus = yaml.safe_load((ROOT / "deploy" / "compose" / "prometheus.yml").read_text())
    mounted = dict(volume.split(":")[1::-1] for volume in SERVICES["prometheus"]["volumes"])
    assert mounted["/etc/prometheus/alerts"] == "./deploy/alerts"
    assert prometheus["rule_files"] == ["alerts/agents.yaml"]
