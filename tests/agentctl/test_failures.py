"""How commands fail: one line on standard error that says what to do, and the exit code that fits."""

import socket
import subprocess
from pathlib import Path

import pytest

from tests.agentctl.command import agentctl, environment, invoke, line
from tests.agentctl.fake_manager import FakeManager, Reply, agent, instance, listing

FLEET = "/api/agent-services"


@pytest.mark.parametrize(
    ("status", "code", "exit_code", "advice"),
    [
        (401, "unauthenticated", 1, "AGENT_MANAGER_API_KEY"),
        (403, "forbidden", 1, "higher role"),
        (404, "unknown-agent", 3, "agentctl get agents"),
        (409, "not-supported", 4, "agentctl up planner"),
        (503, "unavailable", 5, "agentctl get agents"),
        (503, "at-capacity", 1, "try again later"),
        (422, "bad-parameters", 1, "parameters.goal: it says this: agentctl up planner (bad-parameters)"),
    ],
)
def test_a_problem_is_one_line_and_an_exit_code(
    manager: FakeManager, status: int, code: str, exit_code: int, advice: str
) -> None:
    """Nothing stands on standard output, so that a script never takes a failure for a result."""
    detail = "it says this: agentctl up planner"
    field = {"field": "parameters.goal"} if status == 422 else {}
    manager.problem("POST", f"{FLEET}/planner/execute", status, code, detail, **field)
    run = invoke("execute", "planner", manager=manager.url)
    assert (run.returncode, run.stdout) == (exit_code, "")
    assert len(run.stderr.splitlines()) == 1
    assert run.stderr.startswith("error: ")
    assert detail in run.stderr
    assert advice in run.stderr


def test_no_manager_exits_5_and_says_how_to_name_one() -> None:
    """The address that was tried is in the line."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        run = agentctl("get", "agents", manager=url)
    assert run.returncode == 5
    assert run.stderr.startswith(f"error: cannot reach the manager at {url}: connection refused; ")
    assert "--manager or AGENT_MANAGER_URL" in run.stderr


def test_something_else_at_the_address_is_named_as_such(manager: FakeManager) -> None:
    """A web server that is no manager is not mistaken for one, whatever it answers."""
    manager.on("GET", FLEET, Reply(raw=b"<html>hello</html>", status=502), Reply(raw=b"<html>", status=200))
    assert "is an agent manager there?" in invoke("get", "agents", manager=manager.url).stderr
    run = agentctl("get", "agents", manager=manager.url)
    assert run.returncode == 1
    assert "not JSON" in run.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", "agents", "Planner"),
        ("execute", "planner", "-p", "goal"),
        ("execute", "planner", "-p", "limit:=many"),
        ("execute", "planner", "-f", "/no/such/file"),
        ("execute", "planner", "--stream", "--async"),
        ("wait", "planner", "--for", "state=happy"),
        ("wait", "planner", "--for", "state=running", "--timeout", "soon"),
        ("drain", "planner"),
        ("drain", "planner", "--abort", "--extend", "5s"),
        ("logs", "planner", "--tail", "0"),
        ("get", "agents", "--manager", "nonsense"),
        ("keys", "two words"),
        ("conquer",),
    ],
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...]) -> None:
    """What is wrong on the command line is told before anything is asked of a manager."""
    run = invoke(*arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert "Error: " in run.stderr or "error: " in run.stderr


def test_control_characters_from_the_network_cannot_steer_the_terminal(manager: FakeManager) -> None:
    """They are spelled out in tables, descriptions, errors and JSON, which stays valid."""
    evil = "\x1b]0;owned\x07\u202eab\nc\x9b2J"
    shown = agent("planner", instance(version=evil), description=evil, problem={"code": evil, "detail": evil})
    manager.on("GET", FLEET, listing(shown))
    manager.on("GET", f"{FLEET}/planner", shown)
    manager.on("GET", f"{FLEET}/planner/actions", {"actions": []})
    manager.problem("POST", f"{FLEET}/planner/execute", 500, "agent-failed", evil)
    for arguments in (
        ("get", "agents", "-o", "wide"),
        ("get", "agents", "-o", "json"),
        ("get", "agents", "-o", "yaml"),
        ("describe", "agent", "planner"),
        ("execute", "planner"),
    ):
        run = invoke(*arguments, manager=manager.url)
        text = run.stdout + run.stderr
        assert "owned" in text, arguments
        assert not set(text) & {"\x1b", "\x07", "\u202e", "\x9b"}, arguments
    table = invoke("get", "agents", "-o", "wide", manager=manager.url).stdout
    assert len(table.splitlines()) == 2


def test_the_api_key_travels_as_bearer(manager: FakeManager, tmp_path: Path) -> None:
    """From the variable, else from the file that the other variable names; proxies see nothing of it."""
    manager.on("GET", FLEET, listing())
    agentctl(
        "get", "agents", manager=manager.url, variables={"AGENT_MANAGER_API_KEY": "ak_1", "HTTP_PROXY": "http://x"}
    )
    assert manager.last("GET").headers["Authorization"] == "Bearer ak_1"
    file = tmp_path / "key"
    file.write_text("ak_2\n", encoding="utf-8")
    agentctl("get", "agents", manager=manager.url, variables={"AGENT_MANAGER_API_KEY_FILE": str(file)})
    assert manager.last("GET").headers["Authorization"] == "Bearer ak_2"
    run = agentctl("get", "agents", manager=manager.url, variables={"AGENT_MANAGER_API_KEY_FILE": "/no/such"})
    assert (run.returncode, "AGENT_MANAGER_API_KEY_FILE" in run.stderr) == (2, True)


def test_the_manager_can_be_named_before_or_after_the_command(manager: FakeManager) -> None:
    """Both win over the variable."""
    manager.on("GET", FLEET, listing(agent()))
    nowhere = "http://127.0.0.1:9"
    assert invoke("--manager", manager.url, "get", "agents", manager=nowhere).returncode == 0
    assert invoke("get", "agents", "--manager", manager.url, manager=nowhere).returncode == 0


def test_a_reader_that_leaves_early_is_no_error(manager: FakeManager) -> None:
    """`agentctl get agents | head -1` prints no traceback."""
    manager.on("GET", FLEET, listing(*(agent(f"a-{number}") for number in range(5000))))
    head = subprocess.Popen(["head", "-1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert head.stdin is not None
    run = subprocess.run(
        line("get", "agents"), env=environment(manager.url), stdout=head.stdin, stderr=subprocess.PIPE, check=False
    )
    head.stdin.close()
    head.stdin = None
    out, _ = head.communicate(timeout=10)
    assert out.startswith(b"NAME")
    assert run.stderr == b""
