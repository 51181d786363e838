"""What manager and adapters read of what the chart renders, read by their own code."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from agent_adapter import config as adapter_config
from agent_adapter.config import AdapterSettings
from agent_contract.loading import parse
from agent_manager import config as manager_config
from agent_manager.config import ManagerSettings
from agent_manager.credentials import Credentials

from tests.chart.rendering import (
    CI,
    ROOT,
    Object,
    adapter,
    containers,
    environment,
    notes,
    of_kind,
    pod_spec,
    render,
    the,
)

FILE = "agents.config.json"


def adapter_settings(objects: list[Object], name: str, tmp_path: Path) -> AdapterSettings:
    """Give what the adapter of this Deployment would run with."""
    (tmp_path / FILE).write_text(the(objects, "ConfigMap", name)["data"][FILE])
    variables = environment(adapter(objects, name)) | {"AGENTS_CONFIG": str(tmp_path / FILE)}
    return adapter_config.load(adapter_config.CommandLine(), variables)


def manager_settings(objects: list[Object], name: str, tmp_path: Path) -> ManagerSettings:
    """Give what the manager of this Deployment would run with; it is told --host, --port and --insecure only."""
    (tmp_path / FILE).write_text(the(objects, "ConfigMap", name)["data"][FILE])
    (container,) = containers(the(objects, "Deployment", name))
    args = container["args"]
    line = manager_config.CommandLine(host=args[1], port=int(args[3]), insecure="--insecure" in args)
    assert args == ["--host", args[1], "--port", args[3], *(["--insecure"] if line.insecure else [])]
    return manager_config.load(line, environment(container) | {"AGENTS_CONFIG": str(tmp_path / FILE)})


@pytest.mark.parametrize("ci", CI)
def test_every_configuration_file_is_one_that_the_processes_read(ci: str) -> None:
    """Numbers are written as numbers, and no key is one that they do not know."""
    files = [one["data"][FILE] for one in of_kind(render(ci), "ConfigMap") if FILE in one.get("data", {})]
    assert len(files) == 1 + len(
        [one for one in of_kind(render(ci), "Deployment") if "manager" not in one["metadata"]["name"]]
    )
    for text in files:
        parse(text.encode())


def test_an_adapter_runs_with_what_the_values_say_of_its_agent(tmp_path: Path) -> None:
    """From the values to the settings of the process."""
    settings = adapter_settings(render("examples"), "agents-executor", tmp_path)
    assert (settings.agent.id, settings.agent.entry_point) == ("executor", "agents.executor:Executor")
    assert (settings.max_concurrency, settings.task_timeout_seconds) == (4, 600)
    assert (settings.drain_timeout_seconds, settings.termination_grace_seconds) == (300, 305)
    assert settings.quiet_seconds == 2
    assert (settings.host, settings.port) == ("0.0.0.0", 8100)
    assert settings.manager_url == "http://agents-managers:8080"
    assert settings.log_file == Path("/tmp/logs/executor.log")  # noqa: S108  # the pod's own /tmp


def test_large_numbers_stay_whole() -> None:
    """Helm holds numbers as floating point, and 1.048576e+07 is no number of bytes for the adapter."""
    agents = {"planner": {"config": {"maxBodyBytes": 104857600}, "podSecurityContext": {"runAsUser": 1000650000}}}
    objects = render(agents=agents)
    (agent,) = parse(the(objects, "ConfigMap", "agents-planner")["data"][FILE].encode()).agents
    assert agent.max_body_bytes == 104857600
    assert pod_spec(the(objects, "Deployment", "agents-planner"))["securityContext"]["runAsUser"] == 1000650000


def test_an_adapter_has_the_drain_that_all_share_where_its_agent_has_none(tmp_path: Path) -> None:
    """The grace period was computed with it."""
    agents = {"planner": {"config": {"entryPoint": "code:run"}}}
    objects = render(runtime={"drainTimeoutSeconds": 90}, agents=agents, auth={"enabled": False})
    assert adapter_settings(objects, "agents-planner", tmp_path).drain_timeout_seconds == 90


def test_the_manager_watches_the_namespaces_and_waits_for_the_slowest_agent(tmp_path: Path) -> None:
    """Discovery is by Kubernetes, in the release's own namespace unless others are named."""
    settings = manager_settings(render("examples"), "agents-manager", tmp_path)
    assert (settings.discovery, settings.namespaces) == ("kubernetes", ("fleet",))
    assert (settings.host, settings.port, settings.insecure) == ("0.0.0.0", 8080, True)
    assert (settings.quiet_seconds, settings.own_drain_timeout_seconds) == (5, 300)
    full = manager_settings(render("full"), "fleet-manager", tmp_path)
    assert full.namespaces == ("fleet", "tenants")
    assert (full.host, full.insecure, full.allowed_service_hosts) == ("::", False, ("10.0.0.0/8",))
    assert full.own_drain_timeout_seconds == 90.5


def test_the_examples_are_those_of_the_configuration_file() -> None:
    """The example agents are the same ones on one machine, with compose and in a cluster."""
    wanted = json.loads((ROOT / "config" / "agents.config.json").read_text())
    objects = render("examples")
    for agent in wanted["agents"]:
        file = json.loads(the(objects, "ConfigMap", f"agents-{agent['id']}")["data"][FILE])
        (rendered,) = file["agents"]
        variables = environment(adapter(objects, f"agents-{agent['id']}"))
        for key, value in ({"taskTimeoutSeconds": wanted["defaults"]["taskTimeoutSeconds"]} | agent).items():
            if key == "environment":
                assert value.items() <= variables.items()
            elif key != "port":
                assert rendered[key] == value, key


def test_a_made_secret_lets_the_manager_in_and_its_admin(tmp_path: Path) -> None:
    """The manager reads the admin's key as a hash; the key itself is in the Secret for whoever may read Secrets."""
    (secret,) = of_kind(render(), "Secret")
    data = {key: base64.b64decode(value) for key, value in secret["data"].items()}
    for key in ("manager-token", "api-keys"):
        (tmp_path / key).write_bytes(data[key])
    files = {"MANAGER_TOKEN_FILE": str(tmp_path / "manager-token"), "MANAGER_API_KEYS_FILE": str(tmp_path / "api-keys")}
    credentials = Credentials(files, lambda: 0.0)
    admin = credentials.key_of(data["admin-key"])
    assert admin is not None
    assert (admin.name, admin.role) == ("admin", "admin")
    assert credentials.is_manager_token(data["manager-token"])
    assert data["admin-key"] not in data["api-keys"]
    assert len({hashlib.sha256(data[key]).digest() for key in data}) == 3


@pytest.mark.parametrize(("ci", "secret"), [(None, "agents-auth"), ("full", "fleet-credentials")])
def test_credentials_are_files_that_no_other_than_these_see(ci: str | None, secret: str) -> None:
    """Managers have the token and the keys, adapters the token alone; nothing is in a variable."""
    for deployment in of_kind(render(ci), "Deployment"):
        manager = deployment["metadata"]["labels"]["app.kubernetes.io/component"] == "manager"
        (volume,) = (one for one in deployment["spec"]["template"]["spec"]["volumes"] if one["name"] == "auth")
        assert volume["secret"]["secretName"] == secret
        assert volume["secret"]["defaultMode"] == 0o440
        keys = [item["key"] for item in volume["secret"]["items"]]
        assert keys == (["manager-token", "api-keys"] if manager else ["manager-token"])
        for container in containers(deployment):
            assert "MANAGER_TOKEN" not in {one["name"] for one in container.get("env", [])}


def test_a_secret_that_is_there_is_not_made_again() -> None:
    """With `existingSecret`, and without auth, the chart makes none."""
    assert of_kind(render("full"), "Secret") == []
    assert of_kind(render("examples"), "Secret") == []


def test_the_notes_give_three_calls_that_can_be_typed() -> None:
    """They name what was installed, and how to read the key where one is needed."""
    printed = notes("examples")
    calls: list[Any] = [line for line in printed.splitlines() if "localhost:8080/api/agent-services" in line]
    assert len(calls) == 4, "the third is two: an order, and what it waits for"
    assert "service/agents-manager 8080:8080" in printed
    assert "/api/agent-services/planner/execute" in printed
    assert "secret" not in printed
    assert "get secret agents-auth" in notes()
    assert "fleet-credentials" in notes("full")
