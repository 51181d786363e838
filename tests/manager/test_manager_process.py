"""The process `agent-manager` starts, or says why it cannot."""

import asyncio
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.manager.manager_process import COMMAND, catches, configuration, ended, manager
from tests.tracing.collector import collecting


async def test_a_signal_during_the_start_is_obeyed(tmp_path: Path) -> None:
    """In the moment in which the process first can, long before it serves: exit code 0, not that of a signal."""
    path = configuration(tmp_path)
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--config", str(path), "--port", "0", stdout=asyncio.subprocess.PIPE, cwd=tmp_path
    )
    assert process.stdout is not None
    while not catches(process.pid, signal.SIGTERM):
        assert process.returncode is None
        await asyncio.sleep(0)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        log = await process.stdout.read()
        assert await process.wait() == 0
    assert b'"message":"leaving"' in log


async def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    """Which port, and what to do; exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = await ended("--port", str(port), cwd=tmp_path)
    assert code == 1
    assert said == (
        f"agent-manager: cannot listen on 127.0.0.1:{port}: another process listens there; end it, or say --port\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"runtime":{"colour":1}}', "runtime.colour: unknown key"),
        ('{"runtime":{"holdSeconds":"x"}}', "runtime.holdSeconds: expected `float`, got `str`"),
        ("{", "not JSON"),
    ],
)
async def test_a_bad_configuration_is_exit_2_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """One line, no traceback."""
    (tmp_path / "c.json").write_text(text)
    code, stderr = await ended("--config", "c.json", "--port", "0", cwd=tmp_path)
    assert code == 2
    assert stderr.startswith("agent-manager: bad configuration: ")
    assert said in stderr
    assert stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--port", "x"], ["--port", "70000"], ["--colour"], ["more"]])
async def test_a_wrong_command_line_is_exit_2(tmp_path: Path, arguments: list[str]) -> None:
    """As every command's."""
    code, said = await ended(*arguments, cwd=tmp_path)
    assert code == 2
    assert "Usage: agent-manager" in said


async def test_it_does_not_listen_for_others_without_credentials(tmp_path: Path) -> None:
    """It says what is missing; `--insecure` says that this is meant."""
    (tmp_path / "keys").write_text("ada admin a-key")
    code, said = await ended("--host", "0.0.0.0", "--port", "0", cwd=tmp_path)
    assert code == 2
    assert re.search(r"cannot listen on 0\.0\.0\.0: set MANAGER_TOKEN_FILE .* and MANAGER_API_KEYS_FILE", said)
    code, said = await ended(
        "--host", "0.0.0.0", "--port", "0", cwd=tmp_path, MANAGER_API_KEYS_FILE=str(tmp_path / "keys")
    )
    assert code == 2
    assert "MANAGER_API_KEYS_FILE" not in said
    async with manager(tmp_path, "--host", "0.0.0.0", "--insecure") as running:
        assert (await running.client.get("/health")).status_code == 200
        await running.said("not everybody is asked who they are")
        assert running.lines[-1]["level"] == "warning"


async def test_without_credentials_it_listens_on_loopback_and_says_so(tmp_path: Path) -> None:
    """No address has to be said, and nothing has to be set, to be safe."""
    async with manager(tmp_path) as running:
        await running.said("not everybody is asked who they are")
        told = running.lines[-1]
        assert (told["level"], told["host"], told["adapters"], told["people"]) == ("info", "127.0.0.1", False, False)


async def test_a_file_of_credentials_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    """A mount that failed must not open the doors."""
    code, said = await ended("--port", "0", cwd=tmp_path, MANAGER_TOKEN_FILE="nothing")  # noqa: S106  # a path
    assert (code, said) == (
        2,
        "agent-manager: bad configuration: MANAGER_TOKEN_FILE: cannot read nothing: No such file or directory\n",
    )


async def test_a_collector_that_hangs_does_not_hold_the_exit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs the last spans: the manager waits for them for 0.7 s, and then it is gone."""
    async with collecting() as collector:
        collector.answers = None
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        async with manager(tmp_path) as running:
            ordered = await running.client.post("/api/agent-services/nobody/action", json={"action": "pause"})
            assert ordered.status_code == 404
            await collector.until(lambda it: it.asked > 0, "its span")
            began = running.signal(signal.SIGTERM)
            assert await running.left() == 0
            assert time.monotonic() - began < 3
