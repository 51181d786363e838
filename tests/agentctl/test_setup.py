"""What needs no manager: `init`, `config`, `keys`, `completion`, `version`, help, and how light it all is."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from agentctl.cli import _COMMANDS, LazyGroup, cli

from tests.agentctl.command import agentctl, environment
from tests.agentctl.fake_manager import FakeManager, agent, listing

PACKAGE = Path(sys.modules["agentctl"].__file__ or "").parent


def test_version_imports_nothing_heavy() -> None:
    """Its 150 ms have no room for the HTTP client, rich or asyncio."""
    run_it = "sys.argv = ['agentctl', 'version']; from agentctl.__main__ import main; main()"
    code = f"import sys; {run_it}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, modules = run.stdout.splitlines()
    assert re.fullmatch(r"agentctl \d+\.\d+\.\d+", version)
    assert not {"httpx", "rich", "asyncio", "yaml", "msgspec"} & set(modules.split())


def test_one_module_knows_httpx_and_one_knows_rich() -> None:
    """Whoever replaces the client or the live table finds it in one place."""
    users: dict[str, set[str]] = {"httpx": set(), "rich": set()}
    for path in PACKAGE.rglob("*.py"):
        for name, files in users.items():
            if re.search(rf"^\s*(?:import|from) {name}\b", path.read_text(encoding="utf-8"), re.MULTILINE):
                files.add(path.name)
    assert users == {"httpx": {"client.py"}, "rich": {"live.py"}}


def test_every_command_of_the_table_is_there_and_helps() -> None:
    """A typo in the table would only show when that command is run."""
    context = cli.make_context("agentctl", ["version"])
    assert isinstance(cli, LazyGroup)
    for name in _COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.help
    assert all(name in agentctl("--help").stdout for name in _COMMANDS)


def test_init_writes_a_configuration_that_config_accepts_and_never_overwrites(tmp_path: Path) -> None:
    """What it wrote is complete, and a second run changes nothing."""
    run = agentctl("init", "here", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "cd here && agentctl up" in run.stdout
    merged = json.loads(agentctl("config", cwd=tmp_path / "here").stdout)
    assert merged["agents"][0]["entryPoint"] == "agents.greeter:greet"
    agent = tmp_path / "here" / "agents" / "greeter.py"
    agent.write_text("mine", encoding="utf-8")
    run = agentctl("init", "here", cwd=tmp_path)
    assert run.returncode == 4
    assert "already there" in run.stderr
    assert agent.read_text(encoding="utf-8") == "mine"


def test_config_merges_defaults_and_masks_secrets(tmp_path: Path) -> None:
    """A value of the environment is shown only where it is nothing but a reference; what is not set is warned of."""
    values = {"PLAIN": "secret", "REF": "${TOKEN}", "EMPTY": "${TOKEN:-}", "FALLBACK": "${TOKEN:-secret}"}
    agents = [{"id": "a", "port": 1, "environment": values, "metadata": {"own": 1}}]
    path = tmp_path / "c.json"
    path.write_text(
        json.dumps({"defaults": {"maxQueue": 3, "metadata": {"all": 2}}, "agents": agents}), encoding="utf-8"
    )
    run = agentctl("config", "--config", str(path))
    merged = json.loads(run.stdout)["agents"][0]
    masked = {"PLAIN": "***", "REF": "${TOKEN}", "EMPTY": "${TOKEN:-}", "FALLBACK": "***"}
    assert (merged["maxQueue"], merged["metadata"], merged["environment"]) == (3, {"all": 2, "own": 1}, masked)
    assert "secret" not in run.stdout + run.stderr
    assert run.stderr == f"warning: {path}: agents[0].environment.REF: environment variable TOKEN is not set\n"
    assert agentctl("config", variables={"AGENTS_CONFIG": str(path), "TOKEN": "x"}).stderr == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"agents": [{"id": "a"}, {"id": "b", "colour": 1}]}', "agents[1].colour: unknown key"),
        (
            '{"agents": [{"id": "a", "port": 1}, {"id": "b", "port": 1}]}',
            "agents[1].port: 1 is already that of agents[0]",
        ),
        ("{", "not JSON"),
    ],
)
def test_config_of_a_wrong_file_exits_2_with_the_path(tmp_path: Path, text: str, message: str) -> None:
    """The file and the place in it are told."""
    path = tmp_path / "c.json"
    path.write_text(text, encoding="utf-8")
    run = agentctl("config", "--config", str(path))
    assert (run.returncode, run.stdout) == (2, "")
    assert str(path) in run.stderr
    assert message in run.stderr


def test_config_without_a_file_names_init(tmp_path: Path) -> None:
    """The first thing that a newcomer types says what to type next."""
    run = agentctl("up", cwd=tmp_path)
    assert (run.returncode, "agentctl init writes one" in run.stderr) == (2, True)


def test_keys_prints_the_line_for_the_file_and_shows_the_key_once() -> None:
    """The line holds the hash of exactly that key."""
    run = agentctl("keys", "ada", "--role", "operator")
    name, role, digest = run.stdout.split()
    key = run.stderr.split()[-1]
    assert (name, role) == ("ada", "operator")
    assert digest == "sha256:" + hashlib.sha256(key.encode()).hexdigest()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str) -> None:
    """The script asks `agentctl` itself."""
    run = agentctl("completion", shell)
    assert (run.returncode, "_AGENTCTL_COMPLETE" in run.stdout) == (0, True)


def test_the_shell_completes_agent_ids(manager: FakeManager) -> None:
    """Ids come from the manager; without one there is nothing, and no error."""
    manager.on("GET", "/api/agent-services", listing(agent("planner"), agent("executor")))
    words = {"COMP_WORDS": "agentctl pause pl", "COMP_CWORD": "2", "_AGENTCTL_COMPLETE": "bash_complete"}
    command = [str(Path(sys.executable).with_name("agentctl"))]
    for url, expected in ((manager.url, "plain,planner"), ("http://127.0.0.1:9", "")):
        run = subprocess.run(
            command, env=environment(url, **words), capture_output=True, text=True, check=False, timeout=20
        )
        assert (run.stdout.strip(), run.stderr) == (expected, "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("cancel t-", ["t-1", "t-2"]),
        ("describe task t-2", ["t-2"]),
        ("drain planner --cancel t-1", ["t-1"]),
        ("wait planner --for state=st", ["state=starting", "state=stopping", "state=stopped"]),
    ],
)
def test_the_shell_completes_tasks_and_states(manager: FakeManager, words: str, expected: list[str]) -> None:
    """Of tasks those whose id may stand in a command line as it is."""
    tasks = [{"taskId": one} for one in ("t-1", "t-2", "t-$(date)", "other")]
    manager.on("GET", "/api/tasks", {"tasks": tasks})
    asked = {
        "COMP_WORDS": f"agentctl {words}",
        "COMP_CWORD": str(len(words.split())),
        "_AGENTCTL_COMPLETE": "bash_complete",
    }
    run = agentctl(manager=manager.url, variables=asked)
    assert (run.stdout.split(), run.stderr) == ([f"plain,{one}" for one in expected], "")


@pytest.mark.parametrize("group", ["get", "describe"])
def test_no_short_help_is_cut(group: str) -> None:
    """What a group's help says of its commands ends where its author ended it."""
    assert "..." not in agentctl(group, "--help", variables={"COLUMNS": "80"}).stdout.replace(
        "[OPTIONS] COMMAND [ARGS]...", ""
    )
