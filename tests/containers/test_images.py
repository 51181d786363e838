"""What is in the images, and how large they are."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from agent_contract import __version__

ROOT = Path(__file__).parent.parent.parent
TMPFS = {"/tmp": "size=64m"}  # noqa: S108  # the place of the container, not of this machine
BASE = "python:3.13-slim"
OURS = ("agent-manager:dev", "agent-adapter:dev", "agent-examples:dev")
MEGABYTE = 1_000_000

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]


def run(engine: Any, image: str, *command: str) -> str:
    """Run a command in an image, as compose would confine it, and give what it printed."""
    printed: bytes = engine.containers.run(
        image, list(command), entrypoint=[], remove=True, read_only=True, cap_drop=["ALL"], network_disabled=True
    )
    return printed.decode()


@pytest.mark.parametrize(("image", "megabytes"), [("agent-adapter:dev", 60), ("agent-manager:dev", 160)])
def test_an_image_is_small_on_top_of_the_base(images: Any, image: str, megabytes: int) -> None:
    """What is pulled where the base is there already."""
    size = images.images.get(image).attrs["Size"] - images.images.get(BASE).attrs["Size"]
    assert size < megabytes * MEGABYTE


def test_the_adapter_has_nothing_that_only_the_manager_needs(images: Any) -> None:
    """Neither the Kubernetes client nor what came with it, nor the manager, nor build tools."""
    code = "import importlib.metadata as m, json; print(json.dumps([d.name.lower() for d in m.distributions()]))"
    names = set(json.loads(run(images, "agent-adapter:dev", "python", "-c", code)))
    assert {"agent-adapter", "agent-contract", "litestar"} <= names
    unwanted = {"kubernetes", "pydantic", "aiohttp", "agent-manager", "pytest", "hatchling", "uv", "pip", "faker"}
    assert names & unwanted == set()


@pytest.mark.parametrize("image", OURS)
def test_an_image_runs_as_nobody_in_particular_below_an_init(images: Any, image: str) -> None:
    """A numeric user, so that a platform can see that it is not root; tini in front; a health check without curl."""
    configuration = images.images.get(image).attrs["Config"]
    assert configuration["User"] == "10001:10001"
    assert configuration["Entrypoint"][0] == "/usr/bin/tini"
    assert configuration["Healthcheck"]["Test"] == ["CMD", "healthy"]
    assert run(images, image, "id", "-u").strip() == "10001"


@pytest.mark.parametrize("image", OURS)
def test_an_image_says_what_it_is(images: Any, image: str) -> None:
    """The labels of the Open Container Initiative."""
    prefix = "org.opencontainers.image."
    labels = images.images.get(image).attrs["Config"]["Labels"]
    assert labels[f"{prefix}title"] == image.removesuffix(":dev")
    assert labels[f"{prefix}version"] == __version__
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", labels[f"{prefix}revision"])
    assert labels[f"{prefix}description"]
    assert labels[f"{prefix}base.name"]


@pytest.mark.parametrize(
    ("image", "modules"),
    [
        ("agent-adapter:dev", "agent_adapter.process, agent_adapter.app, agent_contract.tracing.sdk"),
        ("agent-examples:dev", "agent_adapter.process, agents.planner, agents.executor, agents.retriever"),
        ("agent-manager:dev", "agent_manager.process, agentctl.cli, agent_contract.tracing.sdk"),
    ],
)
def test_everything_that_is_imported_is_compiled(images: Any, image: str, modules: str) -> None:
    """Nothing is compiled at each start: the standard library, dependencies and our own code have their bytecode."""
    code = (
        f"import {modules}; import sys, os; print([m.__file__ for m in list(sys.modules.values()) if"
        " (getattr(m, '__file__', None) or '').endswith('.py') and getattr(m, '__cached__', None)"
        " and not os.path.exists(m.__cached__)])"
    )
    missing = run(images, image, "python", "-c", code)
    assert missing.strip() == "[]"


def test_no_secret_and_no_test_is_in_the_examples(images: Any) -> None:
    """What the build could see was listed, so nothing got in by being forgotten."""
    files = run(images, "agent-examples:dev", "find", "/app", "-type", "f").splitlines()
    tops = {Path(file).relative_to("/app").parts[0] for file in files}
    assert tops == {"README.md", "agents", "config", "docs"}
    assert [file for file in files if ".env" in file] == []


def test_the_image_of_the_docs_is_an_agent_that_works(images: Any, tmp_path: Path) -> None:
    """The ten lines of docs/compose.md build, run, answer, and leave with 0."""
    page = (ROOT / "docs" / "compose.md").read_text()
    for name in ("agent.py", "Dockerfile"):
        text = re.search(rf"^`{name}`:\n+```\w*\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        assert text is not None
        (tmp_path / name).write_text(text[1])
    (tmp_path / "requirements.txt").touch()
    image, _ = images.images.build(path=str(tmp_path), rm=True)
    container = images.containers.run(image.id, detach=True, read_only=True, tmpfs=TMPFS, cap_drop=["ALL"])
    try:
        code = (
            "import time, http.client\n"
            "for _ in range(200):\n"
            "  try:\n"
            "    c = http.client.HTTPConnection('127.0.0.1', 8100)\n"
            """    c.request('POST', '/execute', '{"parameters": {"name": "Ada"}}')\n"""
            "    r = c.getresponse()\n"
            "    if r.status == 200: print(r.read().decode()); break\n"
            "  except OSError: pass\n"
            "  time.sleep(0.05)\n"
        )
        answer = json.loads(container.exec_run(["python", "-c", code]).output)
        assert answer["result"] == {"greeting": "Hello, Ada."}
        container.stop(timeout=10)
        assert container.wait()["StatusCode"] == 0
    finally:
        container.remove(force=True)
        images.images.remove(image.id, force=True)
