"""The README's first screen is true: its three calls, run as they stand there, give what stands below them."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.system.fleet import free_port

ROOT = Path(__file__).parent.parent.parent
CALLS = re.findall(
    r"^\$ (curl [^$]+?'\{.*?\}')\n(\{.*?\})\n", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
)
VARYING = ("taskId", "durationSeconds")


@pytest.fixture(scope="module")
def manager_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run the example agents with `agentctl up`, as `make up` does, on free ports."""
    directory = tmp_path_factory.mktemp("up")
    configuration = json.loads((ROOT / "config" / "agents.config.json").read_text())
    port = free_port()
    configuration["runtime"]["managerUrl"] = f"http://127.0.0.1:{port}"
    configuration["runtime"]["logDirectory"] = str(directory)
    del configuration["$schema"]
    for agent in configuration["agents"]:
        agent["port"] = free_port()
    path = directory / "agents.config.json"
    path.write_text(json.dumps(configuration))
    with (directory / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "agentctl", "up", "--config", str(path)],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _until_up(port, directory / "up.log")
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_the_readme_shows_three_calls() -> None:
    """One for each example agent."""
    assert [re.search(r"agent-services/(\w+)/execute", command)[1] for command, _ in CALLS] == [  # type: ignore[index]  # a call names its agent
        "planner",
        "retriever",
        "executor",
    ]


@pytest.mark.parametrize(("command", "shown"), CALLS, ids=[str(number) for number in range(len(CALLS))])
def test_a_call_of_the_readme_gives_what_stands_there(manager_port: int, command: str, shown: str) -> None:
    """The same result, but for the task's id, its duration and the score of a passage."""
    ran = subprocess.run(
        ["bash", "-c", command.replace(":8080", f":{manager_port}")], check=True, capture_output=True, text=True
    )
    assert comparable(json.loads(ran.stdout)) == comparable(json.loads(shown))


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """Give an answer without what differs from call to call."""
    assert set(VARYING) < set(answer)
    for passage in answer["result"].get("passages", []):
        del passage["score"]
    return {name: value for name, value in answer.items() if name not in VARYING}


def _until_up(port: int, log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            agents = httpx.get(f"http://127.0.0.1:{port}/api/agent-services", trust_env=False).json()["agents"]
        except httpx.TransportError:
            agents = []
        if agents and all(agent["state"] == "running" for agent in agents):
            return
        time.sleep(0.05)
    raise AssertionError(f"the agents are not up within 60 s:\n{log.read_text()}")
