"""The engine, the images, and a compose project for each module of stories."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from testcontainers.core.docker_client import DockerClient

from tests.containers.stack import ROOT, Stack
from tests.system.manager_client import ManagerClient

FAST = Path(__file__).parent / "fast.yaml"
NO_ENGINE = "NO CONTAINER ENGINE ANSWERS, so that none of the stories about containers is told"


@pytest.fixture(scope="session")
def engine() -> Any:
    """Give the container engine. Where none answers the stories are skipped, and in CI that is a failure."""
    if os.environ.get("TEST_PROFILE") != "full":
        pytest.skip("needs a container engine: TEST_PROFILE=full")
    error = _no_engine()
    if error and os.environ.get("CI"):
        pytest.fail(f"{NO_ENGINE}: {error}")
    if error:
        pytest.skip(f"{NO_ENGINE}: {error}")
    return DockerClient().client


def _no_engine() -> str | None:
    """Give why no engine answers, or None; by its own command, for the library leaks a socket where none is."""
    try:
        ran = subprocess.run(["docker", "info"], check=False, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if ran.returncode == 0 else (ran.stderr.strip() or "docker info failed")


@pytest.fixture(scope="session")
def images(engine: Any) -> Any:
    """Build the three images of this very tree; gives the engine that has them."""
    ran = subprocess.run(["make", "images"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return engine


@pytest.fixture(scope="module")
def stack(images: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give the project as `docker compose up --wait` leaves it, with losses seen sooner."""
    del images
    with Stack(tmp_path_factory.mktemp("stack"), FAST) as up:
        yield up


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[ManagerClient]:
    """Give a client of a project that is whole: one planner, one retriever, two executors, all running."""
    stack.run("up", "--detach", "--no-build", "--no-recreate")
    async with stack.client() as calling:
        for agent, count in (("planner", 1), ("retriever", 1), ("executor", 2)):
            await calling.until_running(agent, count)
        yield calling
