"""The examples stay what they claim to be: plain programs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIGURATION = json.loads((ROOT / "config" / "agents.config.json").read_text())
PROGRAM = """
import importlib, sys
module, _, name = sys.argv[1].partition(":")
agent = getattr(importlib.import_module(module), name)
if isinstance(agent, type):
    agent().start()
"""


@pytest.mark.parametrize("agent", CONFIGURATION["agents"], ids=lambda agent: agent["id"])
def test_an_agent_starts_on_nothing_but_python(agent: dict[str, str]) -> None:
    """It imports no framework, nothing of ours and nothing heavy: no installed package can be found, and it starts."""
    environment = {**os.environ, "RETRIEVER_DOCUMENTS": str(ROOT / "tests" / "agents" / "documents")}
    environment.pop("RETRIEVER_BACKEND", None)
    command = [sys.executable, "-S", "-c", PROGRAM, agent["entryPoint"]]  # -S: without site-packages
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
