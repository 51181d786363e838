"""What an adapter runs with: the order of the four sources, each variable, and what is refused."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from agent_adapter.config import _SCALARS, AdapterSettings, CommandLine, load
from agent_contract.config import AgentSettings
from agent_contract.loading import ConfigurationError
from msgspec.structs import fields

Load = Callable[..., AdapterSettings]
PLANNER = {"id": "planner", "port": 8123, "entryPoint": "agents.planner:plan"}


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Give a loader: writes a file in the default place, then loads with a command line and an environment."""
    monkeypatch.chdir(tmp_path)

    def run(
        *agents: Mapping[str, Any],
        line: Mapping[str, Any] | None = None,
        process: Mapping[str, str] | None = None,
        **sections: Any,
    ) -> AdapterSettings:
        path = tmp_path / "config" / "agents.config.json"
        path.parent.mkdir(exist_ok=True)
        if agents or sections:
            path.write_text(json.dumps({"agents": list(agents), **sections}))
        return load(CommandLine(**{"agent": "planner", **(line or {})}), process or {})

    return run


def refused(call: Callable[[], object]) -> tuple[str, str]:
    """Give path and reason of the error that a call raises."""
    with pytest.raises(ConfigurationError) as caught:
        call()
    return caught.value.path, caught.value.reason


def test_what_nobody_said_has_its_default(configured: Load, tmp_path: Path) -> None:
    """An id, a way to run, and the contract's defaults."""
    settings = configured({"id": "planner", "entryPoint": "agents.planner:plan"})
    assert (settings.host, settings.port, settings.manager_url, settings.manager_tokens) == ("0.0.0.0", 8100, None, ())
    assert (settings.max_concurrency, settings.max_queue, settings.max_body_bytes) == (1, 16, 10 * 1024 * 1024)
    assert (settings.drain_timeout_seconds, settings.quiet_seconds, settings.task_timeout_seconds) == (30, 0, None)
    assert (settings.heartbeat_interval_seconds, settings.termination_grace_seconds) == (5, None)
    assert (settings.log_level, settings.log_file) == ("info", tmp_path / "logs" / "planner.log")


def test_the_command_line_wins_over_the_environment_over_the_file_over_the_default(configured: Load) -> None:
    """The order of the four sources, by the port."""
    assert configured({**PLANNER, "port": 1111}).port == 1111
    assert configured({**PLANNER, "port": 1111}, process={"AGENT_PORT": "2222"}).port == 2222
    assert configured({**PLANNER, "port": 1111}, process={"AGENT_PORT": "2222"}, line={"port": 3333}).port == 3333


def test_defaults_fill_in_what_an_agent_leaves_out(configured: Load) -> None:
    """The agent's own keys win; maps are merged."""
    settings = configured(
        {**PLANNER, "maxQueue": 3, "metadata": {"a": 1}},
        defaults={"maxQueue": 4, "maxConcurrency": 5, "metadata": {"a": 0, "b": 2}},
    )
    assert (settings.max_queue, settings.max_concurrency) == (3, 5)
    assert settings.agent.metadata == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("agent", "process", "expected"),
    [
        ({}, {}, 12),
        ({}, {"DRAIN_TIMEOUT_SECONDS": "40"}, 40),
        ({"drainTimeoutSeconds": 300}, {"DRAIN_TIMEOUT_SECONDS": "40"}, 300),
        ({"drainTimeoutSeconds": 300}, {"AGENT_DRAIN_TIMEOUT_SECONDS": "0"}, 0),
    ],
)
def test_the_agents_drain_timeout_wins_over_the_runtimes(
    configured: Load, agent: dict[str, Any], process: dict[str, str], expected: float
) -> None:
    """The agent's own, by file or variable, else the runtime's, by variable or file."""
    settings = configured({**PLANNER, **agent}, runtime={"drainTimeoutSeconds": 12}, process=process)
    assert settings.drain_timeout_seconds == expected


@pytest.mark.parametrize(
    ("variable", "text", "read", "value"),
    [
        ("AGENT_HOST", "127.0.0.1", "host", "127.0.0.1"),
        ("AGENT_PORT", "9000", "port", 9000),
        ("AGENT_SERVICE_URL", "http://10.0.0.7:9000", "service_url", "http://10.0.0.7:9000"),
        ("AGENT_DRAIN_TIMEOUT_SECONDS", "1.5", "drain_timeout_seconds", 1.5),
        ("AGENT_TASK_TIMEOUT_SECONDS", "60", "task_timeout_seconds", 60),
        ("AGENT_TASK_TIMEOUT_SECONDS", "null", "task_timeout_seconds", None),
        ("AGENT_MAX_CONCURRENCY", "7", "max_concurrency", 7),
        ("AGENT_MAX_QUEUE", "0", "max_queue", 0),
        ("AGENT_MAX_BODY_BYTES", "1000", "max_body_bytes", 1000),
        ("AGENT_QUIET_SECONDS", "2", "quiet_seconds", 2),
        ("AGENT_LOG_LEVEL", "debug", "log_level", "debug"),
        ("MANAGER_URL", "http://manager:8080", "manager_url", "http://manager:8080"),
        ("DRAIN_TIMEOUT_SECONDS", "30", "drain_timeout_seconds", 30),
        ("HEARTBEAT_INTERVAL_SECONDS", "5", "heartbeat_interval_seconds", 5),
        ("LOG_LEVEL", "warning", "log_level", "warning"),
        ("LOG_DIRECTORY", "/var/log/agents", "log_directory", Path("/var/log/agents")),
        ("TERMINATION_GRACE_SECONDS", "35", "termination_grace_seconds", 35),
        ("MANAGER_TOKEN", "new, old", "manager_tokens", ("new", "old")),
    ],
)
def test_each_variable_sets_its_setting(configured: Load, variable: str, text: str, read: str, value: object) -> None:
    """Also where the text is that of the default."""
    assert getattr(configured(PLANNER, process={variable: text}), read) == value


@pytest.mark.parametrize(
    ("variable", "text", "key"),
    [
        ("AGENT_NAME", "Planner", "name"),
        ("AGENT_DESCRIPTION", "null", "description"),
        ("AGENT_VERSION", "1", "version"),
        ("AGENT_DEFAULT_MODEL", "large", "default_model"),
        ("AGENT_ISOLATION", "process", "isolation"),
        ("AGENT_ENTRY_POINT", "other:run", "entry_point"),
    ],
)
def test_each_variable_of_the_agent_sets_its_key(configured: Load, variable: str, text: str, key: str) -> None:
    """A text stays a text, whatever it looks like."""
    assert getattr(configured(PLANNER, process={variable: text}).agent, key) == text


def test_every_scalar_key_of_an_agent_has_its_variable() -> None:
    """`AGENT_<UPPER_SNAKE>` of each; maps and the schema have none, host is the listener's."""
    without = {"metadata", "parametersSchema", "environment", "host"}
    keys = {field.encode_name for field in fields(AgentSettings)} - without
    assert set(_SCALARS) == keys | {"name", "entryPoint", "upstream"}
    assert {
        key: f"AGENT_{''.join(f'_{letter}' if letter.isupper() else letter for letter in key).upper()}"
        for key in _SCALARS
    } == _SCALARS


def test_the_id_and_the_file_come_from_the_environment(configured: Load, tmp_path: Path) -> None:
    """`AGENT_ID` and `AGENTS_CONFIG` say what `--agent` and `--config` do."""
    elsewhere = tmp_path / "other.json"
    elsewhere.write_text(json.dumps({"agents": [{**PLANNER, "port": 4444}]}))
    process = {"AGENT_ID": "planner", "AGENTS_CONFIG": str(elsewhere)}
    assert configured(line={"agent": None}, process=process).port == 4444


def test_a_log_of_its_own_for_an_instance_on_another_port(configured: Load) -> None:
    """Two instances of one agent on one machine do not rotate one file."""
    assert configured(PLANNER).log_file.name == "planner.log"
    assert configured(PLANNER, line={"port": 8124}).log_file.name == "planner-8124.log"


# --- without a file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "process"),
    [
        ({"entry_point": "m:f"}, {}),
        ({"upstream": "http://127.0.0.1:9000"}, {}),
        ({"command": ("cat",)}, {}),
        ({}, {"AGENT_ENTRY_POINT": "m:f"}),
        ({"dummy": True}, {}),
    ],
)
def test_whoever_says_how_to_run_needs_no_file(configured: Load, line: dict[str, Any], process: dict[str, str]) -> None:
    """And the default file is not read then."""
    assert configured(line=line, process=process).agent.id == "planner"


def test_a_named_file_is_read_and_need_not_have_the_id(configured: Load, tmp_path: Path) -> None:
    """Its runtime and defaults hold; what the line says is how it runs."""
    path = tmp_path / "named.json"
    path.write_text(json.dumps({"defaults": {"maxQueue": 2}, "agents": [{"id": "other", "entryPoint": "m:f"}]}))
    settings = configured(line={"config": str(path), "entry_point": "m:f"})
    assert (settings.max_queue, settings.agent.entry_point) == (2, "m:f")


def test_the_line_replaces_the_files_way_to_run(configured: Load) -> None:
    """One way, never two."""
    agent = configured(PLANNER, line={"command": ("cat", "-u"), "config": "config/agents.config.json"}).agent
    assert (agent.command, isinstance(agent.entry_point, str)) == (["cat", "-u"], False)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agents", "path"),
    [
        ([PLANNER, {"id": "b", "colour": "red"}], "agents[1].colour"),
        ([PLANNER, {"id": "b", "port": "8101"}], "agents[1].port"),
        ([PLANNER, {"id": "b", "port": 8123}], "agents[1].port"),
        ([PLANNER, {"id": "planner"}], "agents[1].id"),
        ([PLANNER, {"id": "Not-An-Id"}], "agents[1].id"),
        ([PLANNER, {"name": "nobody"}], "agents[1].id"),
        ([{**PLANNER, "maxConcurrency": 0}], "agents[0].maxConcurrency"),
        ([{**PLANNER, "upstream": "http://a:1"}], "agents[0].upstream"),
        ([{**PLANNER, "environment": {"A": 1}}], "agents[0].environment[...]"),
        ([{"id": "other"}, {"id": "planner"}], "agents[1]"),
        ([{"id": "planner", "upstream": "http://host:port"}], "agents[0].upstream"),
        ([{**PLANNER, "workingDirectory": "/no/such/place"}], "agents[0].workingDirectory"),
        ([{**PLANNER, "parametersSchema": {"type": "text"}}], "agents[0].parametersSchema.type"),
        ([{**PLANNER, "environment": {"A": "${NOBODY_SET_THIS}"}}], "agents[0].environment.A"),
        ([{**PLANNER, "environmentFile": "missing.env"}], "agents[0].environmentFile"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(configured: Load, agents: list[dict[str, Any]], path: str) -> None:
    """Whoever wrote it finds the place; nothing starts half configured."""
    assert refused(lambda: configured(*agents))[0] == path


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("AGENT_PORT", "many"),
        ("AGENT_PORT", "70000"),
        ("AGENT_MAX_QUEUE", "-1"),
        ("AGENT_LOG_LEVEL", "loud"),
        ("AGENT_ENTRY_POINT", "no colon"),
        ("AGENT_MAX_CONCURRENCY", "null"),
        ("MANAGER_URL", "manager:8080"),
        ("HEARTBEAT_INTERVAL_SECONDS", "0"),
        ("TERMINATION_GRACE_SECONDS", "soon"),
        ("TERMINATION_GRACE_SECONDS", "nan"),
        ("AGENT_SERVICE_URL", "10.0.0.7:9000"),
    ],
)
def test_a_wrong_variable_is_refused_with_its_name(configured: Load, variable: str, text: str) -> None:
    """And with the text that it has."""
    path, reason = refused(lambda: configured(PLANNER, process={variable: text}))
    assert (path, repr(text) in reason) == (variable, True)


def test_an_unknown_id_is_refused_with_those_that_there_are(configured: Load) -> None:
    """A typing error is seen at once."""
    path, reason = refused(lambda: configured(PLANNER, {"id": "executor"}, line={"agent": "planer"}))
    assert (path, reason) == ("agents", "no agent 'planer'; there are: planner, executor")


@pytest.mark.parametrize("agent_id", [None, "", "Planner", "-a", "a_b", "a" * 64, "a\n"])
def test_no_id_or_a_wrong_one_is_refused(configured: Load, agent_id: str | None) -> None:
    """An id is a DNS label."""
    refused(lambda: configured(PLANNER, line={"agent": agent_id}))


def test_two_ways_to_run_are_refused(configured: Load) -> None:
    """On the line as in the environment."""
    refused(lambda: configured(line={"entry_point": "m:f", "upstream": "http://127.0.0.1:1"}))
    both = {"AGENT_ENTRY_POINT": "m:f", "AGENT_UPSTREAM": "http://127.0.0.1:1"}
    assert refused(lambda: configured(process=both))[0] == "AGENT_UPSTREAM"


def test_a_missing_file_is_refused_with_its_name(configured: Load) -> None:
    """The default one as the named one."""
    assert "config/agents.config.json" in refused(configured)[1]
    assert "nowhere.json" in refused(lambda: configured(line={"config": "nowhere.json"}))[1]


def test_a_missing_token_file_is_refused(configured: Load, tmp_path: Path) -> None:
    """An adapter that should be closed never comes up open."""
    assert refused(lambda: configured(PLANNER, process={"MANAGER_TOKEN_FILE": "gone"}))[0] == "MANAGER_TOKEN_FILE"
    empty = tmp_path / "empty"
    empty.write_text("\n")
    assert refused(lambda: configured(PLANNER, process={"MANAGER_TOKEN_FILE": str(empty)}))[0] == "MANAGER_TOKEN_FILE"


def test_the_token_file_wins_over_the_variable(configured: Load, tmp_path: Path) -> None:
    """One a line: the first is sent, all are accepted."""
    file = tmp_path / "token"
    file.write_text("new\nold\n")
    tokens = configured(PLANNER, process={"MANAGER_TOKEN_FILE": str(file), "MANAGER_TOKEN": "x"}).manager_tokens
    assert tokens == ("new", "old")
