"""How a process ends that cannot live: its exit code, and one clear last line on stderr."""

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.processes.adapter_process import CODE, AdapterProcess, start
from tests.processes.conftest import Launch


async def failed(directory: Path, *arguments: str, **environment: str) -> tuple[int, str, AdapterProcess]:
    """Start an adapter that cannot live; gives exit code, the last line on stderr, and the process."""
    process = await start(
        directory, "--agent", "sample", *arguments, environment={"AGENT_WORKING_DIRECTORY": str(CODE), **environment}
    )
    try:
        code = await process.exited()
    finally:
        await process.end()
    return code, (process.stderr.splitlines() or [""])[-1], process


@pytest.mark.parametrize(
    ("entry_point", "line"),
    [
        ("broken:echo", "cannot load entry point broken:echo: ModuleNotFoundError: No module named 'no_such_library'"),
        ("missing:echo", "cannot load entry point missing:echo: ModuleNotFoundError: No module named 'missing'"),
        (
            "sample:nothing",
            "cannot load entry point sample:nothing: AttributeError: module 'sample' has no attribute 'nothing'",
        ),
        ("sample:FailedStart", "cannot start sample:FailedStart: ConnectionError: no database at all"),
    ],
)
async def test_an_agent_that_cannot_start(tmp_path: Path, entry_point: str, line: str) -> None:
    """Exit 1; the traceback is in the log, the reason is the last line, and there was no drain."""
    code, last, process = await failed(tmp_path, "--port", "0", "--entry-point", entry_point)
    assert (code, last) == (1, f"agent-adapter: {line}")
    assert [log["level"] for log in process.lines if "exception" in log] == ["error"]
    assert "drained" not in [log["message"] for log in process.lines]


async def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    """Exit 1, with its name."""
    code, last, _ = await failed(tmp_path, "--port", "0", "--", "no-such-program")
    assert (code, last) == (
        1,
        "agent-adapter: cannot start command 'no-such-program': No such file or directory",
    )


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """Exit 1; which agent, which port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, last, process = await failed(
            tmp_path, "--host", "127.0.0.1", "--port", str(port), "--entry-point", "sample:echo"
        )
    assert (code, process.lines) == (1, [])
    assert last == (
        f"agent-adapter: cannot start agent 'sample': cannot listen on 127.0.0.1:{port}: another process listens there"
    )


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ({"agents": [{"id": "sample", "colour": "red"}]}, "agents[0].colour: unknown key"),
        ({"agents": [{"id": "sample", "port": "x"}]}, "agents[0].port: expected `int`, got `str`"),
        (
            {"agents": [{"id": "sample", "port": 1}, {"id": "b", "port": 1}]},
            "agents[1].port: 1 is already that of agents[0]",
        ),
        ({"agents": [{"id": "other"}]}, "agents: no agent 'sample'; there are: other"),
        ({"runtime": {"logLevel": "loud"}}, "runtime.logLevel: invalid enum value 'loud'"),
    ],
)
async def test_a_wrong_configuration(tmp_path: Path, file: dict[str, Any], path: str) -> None:
    """Exit 2, and the place in the file."""
    (tmp_path / "agents.json").write_text(json.dumps(file))
    code, last, process = await failed(tmp_path, "--config", "agents.json")
    assert (code, last) == (2, f"agent-adapter: bad configuration: {path}")
    assert process.lines == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--colour"], "unrecognized arguments: --colour"),
        (["--port", "70000", "--dummy"], "'70000' is not a port (0..65535)"),
        (["--agent", "Not An Id"], "'Not An Id' is not an agent id"),
        (["--entry-point", "m:f", "--upstream", "http://127.0.0.1:1"], "say only one of"),
        ([], "cannot read configuration 'config/agents.config.json'"),
    ],
)
async def test_a_wrong_command_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    """Exit 2, in words."""
    code, last, _ = await failed(tmp_path, *arguments)
    assert (code, said in last) == (2, True), last


async def test_a_restart_that_fails(launch: Launch, tmp_path: Path) -> None:
    """Exit 1 and the reason: the interpreter is gone."""
    link = tmp_path / "venv"
    link.symlink_to(sys.prefix)
    adapter = await launch("sample:echo", interpreter=str(link / "bin" / "python"))
    link.unlink()
    await adapter.act("restart")
    assert await adapter.exited() == 1
    assert adapter.stderr.splitlines()[-1] == "agent-adapter: cannot restart: No such file or directory"
