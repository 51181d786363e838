"""What the manager runs with: command line over environment over file over default."""

import json
from pathlib import Path
from typing import Any

import pytest
from agent_contract.loading import ConfigurationError
from agent_manager.config import CommandLine, ManagerSettings, check_exposure, load

LINE = CommandLine()


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, **file: Any) -> str:
    """Write a configuration file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(file))
    return str(path)


def test_defaults_without_a_file(directory: Path) -> None:
    """Nothing named and no default file: the defaults of the contract, and no agents."""
    settings = load(LINE, {})
    assert settings == ManagerSettings(
        host="127.0.0.1",
        port=8080,
        insecure=False,
        agents=(),
        registration_ttl_seconds=30,
        heartbeat_interval_seconds=5,
        hold_seconds=15,
        drain_timeout_seconds=30,
        quiet_seconds=0,
        own_drain_timeout_seconds=30,
        allowed_service_hosts=(),
        discovery="registration",
        namespaces=(),
        log_level="info",
        log_file=directory / "logs" / "agent-manager.log",
    )


def test_file_is_read_from_its_default_place(directory: Path) -> None:
    """`config/agents.config.json` when it exists, each agent with the file's defaults filled in."""
    runtime = {
        "managerUrl": "http://127.0.0.1:9090",
        "registrationTtlSeconds": 60,
        "heartbeatIntervalSeconds": 10,
        "holdSeconds": 7,
        "drainTimeoutSeconds": 90,
        "managerQuietSeconds": 2,
        "managerDrainTimeoutSeconds": 45,
        "allowedServiceHosts": ["10.0.0.0/8"],
        "logDirectory": "elsewhere",
        "logLevel": "debug",
        "discovery": {"mode": "kubernetes", "namespaces": ["agents"]},
    }
    agents = [{"id": "a", "port": 8100}, {"id": "b", "metadata": {"tier": "2"}}]
    write(
        directory / "config" / "agents.config.json",
        runtime=runtime,
        defaults={"metadata": {"team": "x", "tier": "1"}, "drainTimeoutSeconds": 5},
        agents=agents,
    )
    settings = load(LINE, {})
    assert (settings.port, settings.registration_ttl_seconds, settings.heartbeat_interval_seconds) == (9090, 60, 10)
    assert (settings.hold_seconds, settings.drain_timeout_seconds) == (7, 90)
    assert (settings.quiet_seconds, settings.own_drain_timeout_seconds) == (2, 45)
    assert settings.allowed_service_hosts == ("10.0.0.0/8",)
    assert (settings.discovery, settings.namespaces) == ("kubernetes", ("agents",))
    assert (settings.log_level, settings.log_file) == ("debug", directory / "elsewhere" / "agent-manager.log")
    assert [agent.metadata for agent in settings.agents] == [{"team": "x", "tier": "1"}, {"team": "x", "tier": "2"}]
    assert [agent.drain_timeout_seconds for agent in settings.agents] == [5, 5]


def test_named_file_wins_over_the_environment_and_the_default_place(directory: Path) -> None:
    """--config, then AGENTS_CONFIG, then the default place."""
    write(directory / "config" / "agents.config.json", agents=[{"id": "default"}])
    named = write(directory / "one.json", agents=[{"id": "named"}])
    environment = {"AGENTS_CONFIG": write(directory / "two.json", agents=[{"id": "environment"}])}
    assert [agent.id for agent in load(LINE, {}).agents] == ["default"]
    assert [agent.id for agent in load(LINE, environment).agents] == ["environment"]
    assert [agent.id for agent in load(CommandLine(config=named), environment).agents] == ["named"]


@pytest.mark.parametrize(
    ("line", "process"), [(CommandLine(config="no.json"), {}), (LINE, {"AGENTS_CONFIG": "no.json"})]
)
def test_named_file_that_is_missing_stops_the_start(line: CommandLine, process: dict[str, str]) -> None:
    """Nobody runs with less than they asked for."""
    with pytest.raises(ConfigurationError, match=r"cannot read configuration 'no\.json'"):
        load(line, process)


def test_environment_wins_over_the_file(directory: Path) -> None:
    """Each variable over its key."""
    write(directory / "config" / "agents.config.json", runtime={"managerUrl": "http://m:1", "holdSeconds": 7})
    process = {
        "MANAGER_URL": "http://manager:8181",
        "DRAIN_TIMEOUT_SECONDS": "0.5",
        "LOG_DIRECTORY": "/var/log/agents",
        "LOG_LEVEL": "warning",
        "HEARTBEAT_INTERVAL_SECONDS": "1",
        "REGISTRATION_TTL_SECONDS": "3",
    }
    settings = load(LINE, process)
    assert (settings.port, settings.drain_timeout_seconds, settings.hold_seconds) == (8181, 0.5, 7)
    assert (settings.registration_ttl_seconds, settings.heartbeat_interval_seconds) == (3, 1)
    assert (settings.log_level, settings.log_file) == ("warning", Path("/var/log/agents/agent-manager.log"))


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("REGISTRATION_TTL_SECONDS", "soon"),
        ("REGISTRATION_TTL_SECONDS", "0"),
        ("HEARTBEAT_INTERVAL_SECONDS", "-1"),
        ("HEARTBEAT_INTERVAL_SECONDS", "nan"),
        ("DRAIN_TIMEOUT_SECONDS", "1e9"),
        ("LOG_LEVEL", "loud"),
        ("MANAGER_URL", "manager:8080"),
    ],
)
def test_bad_variable_stops_the_start_by_its_name(variable: str, text: str) -> None:
    """The error names the variable and shows its value."""
    with pytest.raises(ConfigurationError) as caught:
        load(LINE, {variable: text})
    assert caught.value.path == variable
    assert repr(text) in caught.value.reason


def test_empty_variable_is_none() -> None:
    """Compose and charts pass empty texts for what is not set."""
    assert load(LINE, {"REGISTRATION_TTL_SECONDS": "", "AGENTS_CONFIG": ""}).registration_ttl_seconds == 30


@pytest.mark.parametrize(
    ("url", "port"),
    [("http://127.0.0.1:9000", 9000), ("http://manager", 8080), ("https://manager.test", 8080), ("http://[::1]:7/", 7)],
)
def test_port_is_that_of_the_managers_url(url: str, port: int) -> None:
    """Where it names one: behind a proxy it does not, and then the default holds."""
    assert load(LINE, {"MANAGER_URL": url}).port == port
    assert load(CommandLine(port=1234), {"MANAGER_URL": url}).port == 1234


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://127.0.0.1:x"])
def test_managers_url_with_a_port_that_is_none(url: str) -> None:
    """It stops the start."""
    with pytest.raises(ConfigurationError, match="managerUrl"):
        load(LINE, {"MANAGER_URL": url})


def test_interval_is_at_most_half_the_ttl() -> None:
    """A TTL set alone, and short, does not make every instance expire between two beats."""
    assert load(LINE, {"REGISTRATION_TTL_SECONDS": "3"}).heartbeat_interval_seconds == 1.5


def test_cluster_is_recognised() -> None:
    """`auto` is `kubernetes` inside a cluster, else `registration`."""
    assert load(LINE, {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}).discovery == "kubernetes"
    assert load(LINE, {}).discovery == "registration"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_credentials(host: str) -> None:
    """Only this machine can reach it."""
    check_exposure(load(CommandLine(host=host), {}), closes_adapter_routes=False, closes_client_routes=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "manager"])
def test_beyond_loopback_both_credentials_are_needed(host: str) -> None:
    """Or somebody says --insecure; the error says what to set."""
    settings = load(CommandLine(host=host), {})
    check_exposure(settings, closes_adapter_routes=True, closes_client_routes=True)
    insecure = load(CommandLine(host=host, insecure=True), {})
    check_exposure(insecure, closes_adapter_routes=False, closes_client_routes=False)
    for adapter, client, missing in ((True, False, "API_KEYS"), (False, True, "MANAGER_TOKEN"), (False, False, "and")):
        with pytest.raises(ConfigurationError, match=missing) as caught:
            check_exposure(settings, closes_adapter_routes=adapter, closes_client_routes=client)
        assert caught.value.path == "--host"
        assert "--insecure" in caught.value.reason


@pytest.mark.parametrize(("said", "commit"), [("0bad1dea", "0bad1dea"), ("unknown", None), ("", None)])
def test_the_commit_is_what_the_image_says(said: str, commit: str | None) -> None:
    """An image that was built outside a repository knows none."""
    assert load(LINE, {"MANAGER_COMMIT": said}).commit == commit
