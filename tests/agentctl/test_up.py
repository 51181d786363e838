"""`agentctl up` as a process with children, signals and exit codes; the children are stand-ins that do as told."""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from agentctl.up import leash

from tests.agentctl.command import SECONDS, Running, agentctl, running

STANDINS = Path(__file__).parent / "standins"
LEASH = Path(leash.__file__)


class Place:
    """A working directory with a configuration and stand-ins, on ports that are free."""

    def __init__(self, directory: Path, *ids: str) -> None:
        self.directory = directory
        with ExitStack() as stack:
            probes = [stack.enter_context(socket.socket()) for _ in range(len(ids) + 1)]
            for probe in probes:
                probe.bind(("127.0.0.1", 0))
            self.manager_port, *self.ports = [int(probe.getsockname()[1]) for probe in probes]
        shutil.copytree(STANDINS, directory, dirs_exist_ok=True)
        agents = [{"id": name, "port": port, "command": ["x"]} for name, port in zip(ids, self.ports, strict=True)]
        runtime = {"managerUrl": f"http://127.0.0.1:{self.manager_port}"}
        (directory / "config").mkdir()
        configuration = json.dumps({"runtime": runtime, "agents": agents})
        (directory / "config" / "agents.config.json").write_text(configuration, encoding="utf-8")

    def script(self, agent: str, **script: Any) -> None:
        """Tell a stand-in what to do."""
        (self.directory / f"{agent}.script").write_text(json.dumps(script), encoding="utf-8")

    def events(self) -> list[str]:
        """Give what the stand-ins wrote down."""
        return (self.directory / "events").read_text(encoding="utf-8").splitlines()

    def until_event(self, event: str) -> None:
        """Wait until a program has noted this."""
        deadline = time.monotonic() + SECONDS
        while event not in self.events():
            assert time.monotonic() < deadline, self.events()
            time.sleep(0.02)

    def pid(self, name: str) -> int:
        """Give the process id of a stand-in."""
        return int((self.directory / f"{name}.pid").read_text(encoding="utf-8"))

    @contextmanager
    def up(self, *arguments: str, terminal: bool = False) -> Iterator[Running]:
        """Give a running `agentctl up`; its children are gone afterwards also where the test failed."""
        with running("up", *arguments, cwd=self.directory, terminal=terminal) as command:
            try:
                yield command
            finally:
                for path in self.directory.glob("*.pid"):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(path.read_text(encoding="utf-8")), signal.SIGKILL)


def test_up_starts_all_says_where_and_ctrl_c_drains_the_agents_then_the_manager(tmp_path: Path) -> None:
    """Each process gets one order, the manager when the agents have left; the exit code is 0."""
    place = Place(tmp_path, "planner", "executor")
    place.script("executor", drainSeconds=0.5)
    with place.up() as command:
        text = command.until("call one: ")
        command.process.send_signal(signal.SIGINT)
        code, rest = command.rest()
    assert code == 0, rest
    assert f"console   http://127.0.0.1:{place.manager_port}/" in text
    assert f"executor  http://127.0.0.1:{place.ports[1]}  running" in text
    events = place.events()
    assert sorted(events[:2]) == ["executor started", "planner started"]
    assert sorted(events[2:6]) == ["executor SIGTERM", "executor left", "planner SIGTERM", "planner left"]
    assert events[6:] == ["manager SIGTERM"]
    assert "agentctl | manager has left" in rest


def test_one_agent_by_name_joins_the_manager_that_runs_and_leaves_alone(tmp_path: Path) -> None:
    """A stopped agent is started again so: the command that the first `up` tells is typed in another terminal."""
    place = Place(tmp_path, "planner", "executor")
    place.script("planner", exit=0)
    with place.up() as first:
        first.until("planner was stopped from outside; agentctl up planner starts it again")
        place.script("planner")
        with place.up("planner") as second:
            second.until("joining the manager at ")
            second.until("call one: ")
            second.process.send_signal(signal.SIGTERM)
            assert second.rest()[0] == 0
        first.process.kill()
    assert "manager SIGTERM" not in place.events()


def test_a_crashed_agent_starts_again(tmp_path: Path) -> None:
    """The exit code is told, and its lines are under its name."""
    place = Place(tmp_path, "planner")
    place.script("planner", crashOnce=True, lines=['{"level": "warning", "message": "hello"}', "plain"])
    with place.up() as command:
        text = command.until("planner  http")
        os.kill(place.pid("planner"), signal.SIGKILL)
        text = command.until("planner crashed (killed by SIGKILL)")
    assert "agentctl | planner crashed (exit code 1); starting it again in 0." in text
    assert "planner  |  warning hello\nplanner  | plain\n" in text


def test_a_bad_configuration_ends_up_with_its_error(tmp_path: Path) -> None:
    """Exit code 2 of a child would come again each time: the others are drained, and `up` exits 2 with its words."""
    place = Place(tmp_path, "planner", "executor")
    place.script("planner", exit=2, error="agents[0].environment.KEY: not set")
    with place.up() as command:
        code, text = command.rest()
    assert code == 2
    assert text.endswith("error: cannot run planner: agents[0].environment.KEY: not set\n")
    assert place.events()[-1] == "manager SIGTERM"


def test_a_port_in_use_is_told_before_anything_starts(tmp_path: Path) -> None:
    """Which agent, which port, exit code 1."""
    place = Place(tmp_path, "planner")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", place.ports[0]))
        listener.listen()
        run = agentctl("up", cwd=tmp_path)
    assert run.returncode == 1
    assert run.stderr == f"error: cannot start planner: port {place.ports[0]} at 127.0.0.1: it is in use\n"
    assert not (tmp_path / "events").exists()


def test_a_second_ctrl_c_makes_all_leave_at_once(tmp_path: Path) -> None:
    """It sends SIGINT until they leave; on a terminal the drain was shown below the lines. Exit code 130."""
    place = Place(tmp_path, "planner")
    place.script("planner", drainSeconds=25)
    with place.up(terminal=True) as command:
        command.until("call one: ")
        command.process.send_signal(signal.SIGINT)
        command.until("waiting for planner: 1 task, 27s left (eta 4s)")
        command.process.send_signal(signal.SIGINT)
        code, text = command.rest()
    assert code == 130
    assert "Ctrl-C once more kills what is left" in text
    assert "planner has left (exit code 130)" in text
    assert place.events().count("planner SIGINT") == 2


def test_a_third_ctrl_c_kills_what_does_not_listen(tmp_path: Path) -> None:
    """Nothing survives."""
    place = Place(tmp_path, "planner")
    place.script("planner", deaf=True)
    with place.up() as command:
        command.until("call one: ")
        for said in ("draining planner", "leaving at once", "killed by SIGKILL"):
            command.process.send_signal(signal.SIGINT)
            command.until(said)
        code, _ = command.rest()
    assert code == 130


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux lets one wait for the child of another")
def test_children_do_not_outlive_a_killed_up(tmp_path: Path) -> None:
    """After SIGKILL of `agentctl up` each child is told to leave, and so it drains."""
    place = Place(tmp_path, "planner")
    with place.up() as command:
        command.until("call one: ")
        children = [os.pidfd_open(place.pid(name)) for name in ("planner", "manager")]
        command.process.kill()
        for child in children:
            assert select.select([child], [], [], SECONDS)[0], "a child outlives agentctl up"
            os.close(child)
        assert {"planner SIGTERM", "planner left", "manager SIGTERM"} <= set(place.events())


def test_children_are_in_sessions_of_their_own(tmp_path: Path) -> None:
    """Ctrl-C at the terminal reaches `agentctl up` alone."""
    place = Place(tmp_path, "planner")
    with place.up() as command:
        command.until("call one: ")
        sessions = {os.getsid(place.pid(name)) for name in ("planner", "manager")}
        assert len(sessions | {os.getsid(command.process.pid)}) == 3


def test_reload_restarts_the_agent_whose_file_changed(tmp_path: Path) -> None:
    """The other one is left alone."""
    place = Place(tmp_path, "planner", "executor")
    code = tmp_path / "code.py"
    code.write_text("x = 1\n", encoding="utf-8")
    path = tmp_path / "config" / "agents.config.json"
    configuration = json.loads(path.read_text(encoding="utf-8"))
    configuration["agents"][0] = {"id": "planner", "port": place.ports[0], "entryPoint": "code:run"}
    path.write_text(json.dumps(configuration), encoding="utf-8")
    with place.up("--reload") as command:
        command.until("call one: ")
        code.write_text("x = 22\n", encoding="utf-8")
        command.until("planner: code.py changed; draining it and starting it anew")
        place.until_event("planner SIGTERM")  # before all get one
        command.process.send_signal(signal.SIGTERM)
        assert command.rest()[0] == 0
    events = place.events()
    assert events.index("planner SIGTERM") < events.index("executor SIGTERM")


@pytest.mark.parametrize("way", ["poll", *(["kernel"] if sys.platform == "linux" else [])])
def test_the_leash_tells_a_program_to_leave_when_its_parent_dies(way: str) -> None:
    """Both ways: the kernel's on Linux, the watching process elsewhere."""
    program = "import signal, os; print(os.getpid(), flush=True); print(signal.sigwait([15]).name, flush=True)"
    masked = f"import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [15]); {program}"
    starter = (
        "import os, subprocess, sys;"
        f"leash = [sys.executable, {str(LEASH)!r}, str(os.getpid()), {way!r}];"
        f"subprocess.Popen([*leash, sys.executable, '-c', {masked!r}]);"
        "sys.stdin.read()"
    )
    parent = subprocess.Popen([sys.executable, "-c", starter], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdin is not None
    with parent.stdout, parent.stdin:
        pid = int(parent.stdout.readline())
        try:
            parent.kill()
            parent.wait(SECONDS)
            assert parent.stdout.readline() == b"SIGTERM\n"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
