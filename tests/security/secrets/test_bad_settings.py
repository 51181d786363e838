"""What is wrong with a setting is said without the secret that stands in it or beside it."""

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from agent_contract.loading import ConfigurationError
from agent_manager.credentials import Credentials

from tests.agentctl.command import invoke
from tests.security.secrets.canaries import canary, leaks

SECRET = canary("bad-setting")
AGENT = {"id": "plain", "entryPoint": "json:loads"}


def said(folder: Path, module: str, *arguments: str, **variables: str) -> tuple[int, str]:
    """Start a process that does not come up; gives its exit code and all that it said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGENT", "MANAGER", "OTEL"))}
    run = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**kept, "LOG_DIRECTORY": str(folder / "logs"), **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    logs = "".join(path.read_text() for path in (folder / "logs").glob("*.log")) if (folder / "logs").exists() else ""
    return run.returncode, run.stdout + run.stderr + logs


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("MANAGER_API_KEYS_FILE", f"ola operator {SECRET} more\n"),
        ("MANAGER_API_KEYS_FILE", f"{SECRET}\n"),
        ("MANAGER_API_KEYS_FILE", f"ola chief {SECRET}\n"),
        ("MANAGER_AGENT_TOKENS_FILE", f"Plain {SECRET}\n"),
        ("MANAGER_AGENT_TOKENS_FILE", f"plain {SECRET}\nother {SECRET}\n"),
        ("MANAGER_TOKEN_FILE", f"{SECRET}\x00\xff\n"),
    ],
)
def test_a_bad_file_of_secrets_is_named_and_not_quoted(tmp_path: Path, variable: str, text: str) -> None:
    """With the line's number alone."""
    (tmp_path / "file").write_text(text, encoding="latin-1")
    with pytest.raises(ConfigurationError) as raised:
        Credentials({variable: str(tmp_path / "file")}, lambda: 0.0)
    told = "".join(traceback.format_exception(raised.value))
    assert variable in str(raised.value)
    assert leaks(told) == set()


def test_a_manager_that_cannot_read_its_keys_says_so_and_quotes_nothing(tmp_path: Path) -> None:
    """On standard error, and with 2."""
    (tmp_path / "keys").write_text(f"ola operator {SECRET} more\n")
    code, text = said(tmp_path, "agent_manager", "--port", "0", MANAGER_API_KEYS_FILE=str(tmp_path / "keys"))
    assert (code, "line 1" in text, leaks(text)) == (2, True, set()), text


@pytest.mark.parametrize(
    "agent",
    [
        {"environment": {"OPENAI_API_KEY": [SECRET]}},
        {"environment": {"OPENAI_API_KEY": SECRET}, "colour": "red"},
        {"environment": {"OPENAI_API_KEY": f"{SECRET}${{NOT_SET}}"}},
        {"environment": SECRET},
        {"environmentFile": "missing.env", "environment": {"OPENAI_API_KEY": SECRET}},
        {"upstream": f"http://user:{SECRET}@127.0.0.1:9/x y", "entryPoint": None},
    ],
)
def test_a_bad_configuration_is_told_without_the_agent_s_secrets(tmp_path: Path, agent: dict[str, Any]) -> None:
    """Whoever reads it: adapter, manager and `agentctl config` say the same."""
    entry = {name: value for name, value in {**AGENT, **agent}.items() if value is not None}
    path = tmp_path / "agents.json"
    path.write_text(json.dumps({"agents": [entry]}))
    run = invoke("config", "--config", str(path))
    assert leaks(run.stdout + run.stderr) == set()


def test_an_adapter_says_what_is_wrong_without_the_agent_s_secrets(tmp_path: Path) -> None:
    """On standard error and in its log, and with 2."""
    entry = {**AGENT, "environment": {"OPENAI_API_KEY": f"{SECRET}${{NOT_SET}}"}}
    (tmp_path / "agents.json").write_text(json.dumps({"agents": [entry]}))
    code, text = said(tmp_path, "agent_adapter", "--config", "agents.json", "--agent", "plain", "--port", "0")
    assert (code, "NOT_SET" in text, leaks(text)) == (2, True, set()), text


def test_a_bad_token_in_the_environment_is_named_and_not_quoted(tmp_path: Path) -> None:
    """By the adapter."""
    arguments = ("--agent", "plain", "--port", "0", "--entry-point", "missing_module:work")
    code, text = said(tmp_path, "agent_adapter", *arguments, MANAGER_TOKEN=f"{SECRET}\u2603 with words")
    assert code in (1, 2)
    assert leaks(text) == set()


def test_agentctl_names_a_manager_without_the_password_of_its_url(tmp_path: Path) -> None:
    """Nor does it say the key that it would have sent."""
    url, key = f"http://user:{SECRET}@127.0.0.1:9", {"AGENT_MANAGER_API_KEY": SECRET}
    code, text = said(tmp_path, "agentctl", "get", "agents", AGENT_MANAGER_URL=url, **key)
    assert (code, "http://127.0.0.1:9" in text, leaks(text)) == (5, True, set()), text


def test_the_password_of_an_upstream_or_a_manager_is_not_printed(tmp_path: Path) -> None:
    """`agentctl config` shows the rest of the address."""
    agent = {"id": "plain", "upstream": f"http://user:{SECRET}@127.0.0.1:9"}
    runtime = {"managerUrl": f"http://user:{SECRET}@127.0.0.1:8"}
    (tmp_path / "agents.json").write_text(json.dumps({"runtime": runtime, "agents": [agent]}))
    run = invoke("config", "--config", str(tmp_path / "agents.json"))
    assert "http://127.0.0.1:9" in run.stdout
    assert "http://127.0.0.1:8" in run.stdout
    assert leaks(run.stdout + run.stderr) == set()


def test_headers_for_a_collector_that_cannot_be_understood_are_not_quoted(tmp_path: Path) -> None:
    """The variable is named; and the endpoint's password is said nowhere."""
    otel = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://user:{SECRET}@127.0.0.1:9",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization {SECRET}",
    }
    arguments = ("--agent", "plain", "--port", "0", "--host", "127.0.0.1", "--entry-point", "missing_module:work")
    code, text = said(tmp_path, "agent_adapter", *arguments, **otel)
    assert code == 1
    assert "in OTEL_EXPORTER_OTLP_HEADERS" in text
    assert leaks(text) == set()
    code, text = said(tmp_path, "agent_manager", "--port", "0", MANAGER_OIDC_ISSUER=f"https://user:{SECRET}@issuer")
    assert (code, leaks(text)) == (2, set())
