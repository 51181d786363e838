"""A container that is told to leave, at any moment of its life, leaves in order and says so by its exit code."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

TMPFS = {"/tmp": "size=64m"}  # noqa: S108  # the place of the container, not of this machine
IMAGES = {
    "adapter": ("agent-examples:dev", {"AGENT_ID": "executor", "AGENT_HOST": "0.0.0.0"}, []),
    "manager": ("agent-manager:dev", {}, ["--host", "0.0.0.0", "--insecure"]),
}
START_UP_SECONDS = 2.0
"""How long a process that is told to leave while it starts may take."""


@contextmanager
def container(engine: Any, image: str, environment: dict[str, str], command: list[str]) -> Iterator[Any]:
    """Create a container, not started yet, with the ports of adapter and manager published; remove it at the end."""
    made = engine.containers.create(
        image, command, environment=environment, read_only=True, tmpfs=TMPFS, cap_drop=["ALL"],
        ports={"8100/tcp": ("127.0.0.1", None), "8080/tcp": ("127.0.0.1", None)},
    )  # fmt: skip
    try:
        yield made
    finally:
        made.remove(force=True)


@pytest.mark.parametrize("milliseconds", [0, 20, 50, 150, 400])
@pytest.mark.parametrize("service", IMAGES)
def test_a_signal_during_the_start_ends_it_with_0(images: Any, service: str, milliseconds: int) -> None:
    """Whether PID 1 has just been made, Python boots, or the process imports: one exit, in time, and no kill."""
    with container(images, *IMAGES[service]) as made:
        made.start()
        time.sleep(milliseconds / 1000)
        told = time.monotonic()
        made.kill("SIGTERM")
        assert made.wait(timeout=20)["StatusCode"] == 0, made.logs().decode()
        assert time.monotonic() - told < START_UP_SECONDS


@pytest.mark.parametrize(
    ("environment", "command", "code", "said"),
    [
        ({"AGENT_ID": "nobody"}, [], 2, "planner, executor, retriever"),
        ({}, ["--agent", "x", "--entry-point", "agents.planner:absent"], 1, "absent"),
        ({"AGENT_ID": "planner", "AGENT_MAX_CONCURRENCY": "many"}, [], 2, "AGENT_MAX_CONCURRENCY"),
    ],
)
def test_the_exit_code_says_what_is_wrong(
    images: Any, environment: dict[str, str], command: list[str], code: int, said: str
) -> None:
    """2 for a bad configuration, 1 for agent code that cannot be loaded; the log's last line says what it is."""
    with container(images, "agent-examples:dev", environment, command) as made:
        made.start()
        assert made.wait(timeout=20)["StatusCode"] == code
        assert said in made.logs(tail=1).decode()


def test_the_engine_never_has_to_kill(images: Any) -> None:
    """A task longer than `docker stop -t` grants is told in time that it was cut, and the exit code is 0, not 137."""
    environment = {"AGENT_ID": "executor", "TERMINATION_GRACE_SECONDS": "6"}
    with container(images, "agent-examples:dev", environment, []) as made:
        made.start()
        made.reload()
        port = made.attrs["NetworkSettings"]["Ports"]["8100/tcp"][0]["HostPort"]
        http = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20)
        _until(http, "/ready", lambda answer: answer.status_code == 200)
        with ThreadPoolExecutor(1) as thread:
            calling = thread.submit(http.post, "/execute", json={"parameters": {"steps": [{"wait": 60}]}})
            _until(http, "/status", lambda answer: answer.json()["current_task"] is not None)
            told = time.monotonic()
            made.stop(timeout=6)
            assert time.monotonic() - told < 5.5
            answer = calling.result(timeout=1)
        assert (answer.status_code, answer.json()["code"]) == (503, "drain-timeout")
        assert answer.json()["outcome"] == "interrupted"
        made.reload()
        assert made.attrs["State"]["ExitCode"] == 0
        lines = [json.loads(line) for line in made.logs().decode().splitlines()]
        assert all(line["agent"] == "executor" for line in lines)
        http.close()


def _until(http: httpx.Client, path: str, holds: Callable[[httpx.Response], bool]) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            if holds(http.get(path)):
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{path} does not answer as expected within 20 s")
