"""`agentctl init` and `agentctl up` with the real manager and the real adapter, as a newcomer has them."""

import signal
import socket
from contextlib import ExitStack
from pathlib import Path

from tests.agentctl.command import agentctl, running


def test_what_init_wrote_is_served_called_stopped_and_left(tmp_path: Path) -> None:
    """The whole way of the first five minutes, with an API key made by `agentctl keys`."""
    place, url = _place(tmp_path)
    made = agentctl("keys", "ada", "--role", "operator")
    (tmp_path / "keys").write_text(made.stdout, encoding="utf-8")
    key = made.stderr.split()[-1]
    variables = {"MANAGER_API_KEYS_FILE": str(tmp_path / "keys"), "AGENT_MANAGER_API_KEY": key}

    def ask(*arguments: str) -> tuple[int, str]:
        run = agentctl(*arguments, manager=url, variables={"AGENT_MANAGER_API_KEY": key})
        return run.returncode, run.stdout + run.stderr

    with running("up", cwd=place, variables=variables) as up:
        assert "greeter  http://127.0.0.1:" in up.until("execute greeter -p name='...'")
        assert ask("execute", "greeter", "-p", "name=Ada") == (0, '{\n  "greeting": "Hello, Ada!"\n}\n')
        code, text = ask("execute", "greeter", "-p", "nom=Ada")
        assert (code, "parameters.name" in text) == (1, True)
        assert agentctl("get", "agents", manager=url).returncode == 1  # no key
        assert "greeter" in ask("get", "agents")[1]
        assert "ada" in ask("get", "tasks")[1]
        assert ask("restart", "greeter", "--wait")[0] == 0
        assert ask("stop", "greeter", "--wait")[0] == 0
        up.until("greeter was stopped from outside; agentctl up greeter starts it again")
        assert ask("start", "greeter")[0] == 4
        assert ask("wait", "greeter", "--for", "state=stopped")[0] == 0
        up.process.send_signal(signal.SIGINT)
        code, text = up.rest()
    assert code == 0, text
    assert "Traceback" not in text


def _place(directory: Path) -> tuple[Path, str]:
    """Give a place that `init` made, on ports that are free, and its manager's address."""
    assert agentctl("init", "here", cwd=directory).returncode == 0
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(2)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        manager_port, agent_port = (str(probe.getsockname()[1]) for probe in probes)
    path = directory / "here" / "config" / "agents.config.json"
    text = path.read_text(encoding="utf-8").replace("8080", manager_port).replace("8100", agent_port)
    path.write_text(text, encoding="utf-8")
    return directory / "here", f"http://127.0.0.1:{manager_port}"
