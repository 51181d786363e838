"""The parts of `agentctl up` that need no process: plan, ports, backoff, files of an agent, stream, banner."""

import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from agent_contract.config import Agent
from agent_contract.loading import check
from agentctl.failures import CommandFailed, Exit
from agentctl.up.backoff import Backoff
from agentctl.up.banner import banner
from agentctl.up.interrupts import Orders
from agentctl.up.plan import Plan, Program, Wishes, make_plan
from agentctl.up.ports import taken
from agentctl.up.sources import files_of
from agentctl.up.stream import Stream
from agentctl.views import Agent as AgentView

PLACE = Path("config/agents.config.json")
FILE: dict[str, Any] = {
    "runtime": {"managerUrl": "http://elsewhere:9090"},
    "defaults": {"host": "127.0.0.2"},
    "agents": [
        {"id": "planner", "port": 8100, "entryPoint": "a:b"},
        {"id": "far", "port": 8101},
        {"id": "portless", "command": ["x"]},
    ],
}


def plan_of(file: dict[str, Any] = FILE, *ids: str, environment: dict[str, str] | None = None, **wishes: Any) -> Plan:
    """Give the plan of a file."""
    return make_plan(PLACE, check(file), Wishes(ids, **wishes), environment or {})


def test_the_plan_starts_what_runs_here_and_says_why_the_rest_does_not() -> None:
    """The manager is at the configured port, adapters register at the one that is started here."""
    plan = plan_of()
    assert plan.manager_url == "http://127.0.0.1:9090"
    (planner,) = plan.agents
    words = (
        "-m",
        "agent_adapter",
        "--agent",
        "planner",
        "--config",
        str(PLACE),
        "--host",
        "127.0.0.2",
        "--port",
        "8100",
    )
    assert planner.arguments == words
    assert planner.environment == {"MANAGER_URL": "http://127.0.0.1:9090"}
    assert [line.split(":")[0] for line in plan.skipped] == ["far is not started", "portless is not started"]


def test_dummy_starts_a_stand_in_for_an_agent_that_runs_elsewhere() -> None:
    """Only a port is needed then."""
    plan = plan_of(FILE, "far", dummy=True, manager_port=1234)
    assert plan.agents[0].arguments[-1] == "--dummy"
    assert plan.again("far") == "agentctl up far --manager-port 1234 --dummy"


@pytest.mark.parametrize(
    ("wishes", "environment", "port"), [({}, {"MANAGER_URL": "http://x:7000"}, 7000), ({"manager_port": 1}, {}, 1)]
)
def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    wishes: dict[str, Any], environment: dict[str, str], port: int
) -> None:
    """As everywhere."""
    assert plan_of(FILE, environment=environment, **wishes).manager.port == port


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (("planer",), "has the agents planner, far, portless"),
        (("far",), "cannot start far: it has no entryPoint"),
        (("portless",), "cannot start portless: it has no port"),
    ],
)
def test_an_agent_that_was_asked_for_by_name_and_cannot_start_is_an_error(ids: tuple[str, ...], message: str) -> None:
    """Skipping it would leave the user wondering."""
    with pytest.raises(CommandFailed, match=message) as failure:
        plan_of(FILE, *ids)
    assert failure.value.exit_code is Exit.USAGE


def test_taken_ports_are_told_with_their_owner() -> None:
    """A port that somebody listens on, one that two of ours want, and a host that is not this machine's."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        wanted = [("a", "127.0.0.1", port), ("b", "192.0.2.1", 9), ("c", "127.0.0.1", 0), ("d", "127.0.0.1", 0)]
        troubles = taken([Program(name, (), {}, host, number) for name, host, number in wanted])
    assert troubles == {
        "a": f"port {port} at 127.0.0.1: it is in use",
        "b": "port 9 at 192.0.2.1: the host is not an address of this machine",
        "d": "port 0 at 127.0.0.1: it is also that of c",
    }


def test_backoff_doubles_its_ceiling_and_forgets_after_a_calm_minute() -> None:
    """Full jitter: anything from zero to the ceiling, which goes from 0.5 s to 30 s."""
    lowest: list[float] = []

    def highest(low: float, high: float) -> float:
        lowest.append(low)
        return high

    backoff = Backoff(highest)
    assert [backoff.after(1.0) for _ in range(8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert backoff.after(60.0) == 0.5
    assert set(lowest) == {0.0}


def test_each_ctrl_c_orders_the_next_thing() -> None:
    """Drain, hurry, kill; a signal that orders the drain makes the first Ctrl-C the second order."""
    orders = Orders()
    stages = (orders.leave, orders.hurry, orders.kill)
    for count in range(1, 5):
        orders.interrupt()
        assert [stage.is_set() for stage in stages] == [True, count >= 2, count >= 3]


def test_the_files_of_an_agent_are_what_its_entry_point_imports_from_here(tmp_path: Path) -> None:
    """Relative imports, packages and their __init__ count; what lies elsewhere and what nobody imports does not."""
    for name, text in {
        "agents/__init__.py": "",
        "agents/planner.py": "import json\nfrom . import words\nfrom agents.deep.more import x\nimport numpy as np",
        "agents/words.py": "from .planner import plan  # a cycle\nbroken syntax here",
        "agents/deep/__init__.py": "",
        "agents/deep/more.py": "import importlib",
        "agents/other.py": "",
        "run.mjs": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def names(agent: Agent) -> list[str]:
        return sorted(str(path.relative_to(tmp_path)) for path in files_of(agent, tmp_path))

    python = ["agents/__init__.py", "agents/deep/__init__.py", "agents/deep/more.py"]
    assert names(Agent(id="a", entry_point="agents.planner:plan")) == [*python, "agents/planner.py", "agents/words.py"]
    assert names(Agent(id="a", command=["node", "run.mjs", "--fast"])) == ["run.mjs"]
    assert names(Agent(id="a", upstream="http://127.0.0.1:1")) == []


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_the_stream_renders_json_lines_and_leaves_others_as_they_are() -> None:
    """Names are aligned; escape codes are taken out; a traceback's lines all have the name."""
    output = io.StringIO()
    stream = Stream(output, ["manager", "a"])
    raised = {"timestamp": "2026-01-01T12:00:00.5Z", "level": "error", "message": "boom", "exception": "T\n  File"}
    stream.log("a", json.dumps(raised).encode())
    stream.log("manager", b"\x1b[31mred\x1b[0m \x07 \xff")
    stream.log("a", b'{"no": "message"}')
    for name in ("manager", "a"):
        stream.log(name, b'{"level": "info", "message": "event", "agent": "a", "code": "running"}')
    assert output.getvalue().splitlines() == [
        "a        | 12:00:00.5Z error   boom",
        "a        |     T",
        "a        |       File",
        "manager  | red \\x07 �",
        'a        | {"no": "message"}',
        "manager  |  info    a: event  code=running",
        "a        |  info    event  code=running",
    ]


def test_the_status_line_stays_below_the_lines_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line erases it, and it is drawn again below; in a pipe there is none."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    output = Terminal()
    stream = Stream(output, ["manager", "a"])
    stream.status("waiting")
    stream.log("a", b"hello")
    stream.status("")
    mark = "\x1b[36ma        |\x1b[0m"
    assert output.getvalue() == f"\r\x1b[2Kwaiting\r\x1b[2K{mark} hello\nwaiting\r\x1b[2K"
    plain = io.StringIO()
    Stream(plain, []).status("waiting")
    assert plain.getvalue() == ""


def test_a_terminal_that_was_closed_ends_nothing() -> None:
    """The agents drain in order though nobody can read it any more."""

    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(5, "Input/output error")

    Stream(Closed(), []).say("anything")


def test_the_banner_shows_how_to_call_an_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line has the required parameters, and names the manager where the default would miss it."""
    monkeypatch.setenv("AGENT_MANAGER_URL", "http://127.0.0.1:9090")
    schema = {"properties": {"goal": {"type": "string"}, "n": {"type": "integer"}}, "required": ["goal", "n"]}
    view = AgentView(id="planner", state="running", parameters_schema=schema)
    text = banner(plan_of(), {"planner": view}, 1.2)
    assert text.splitlines()[0] == "up in 1.2 s, until Ctrl-C"
    assert "  planner  http://127.0.0.2:8100  running" in text
    assert text.endswith("call one: agentctl execute planner -p goal='...' -p n:=1")
    monkeypatch.delenv("AGENT_MANAGER_URL")
    assert banner(plan_of(), None, 1.0).endswith(
        "agentctl --manager http://127.0.0.1:9090 execute planner -p name=value"
    )
