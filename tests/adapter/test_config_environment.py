"""The environment of agent code: what the configuration adds, what wins, what it never sees."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from agent_adapter.composition import enter_environment
from agent_adapter.config import AdapterSettings, CommandLine, load
from agent_contract.environment import SECRETS

Seen = Callable[..., Mapping[str, str]]


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., AdapterSettings]:
    """Give a loader of an agent's settings, with what stands at the agent and in `defaults`."""

    def run(process: Mapping[str, str], defaults: Mapping[str, Any] | None = None, **agent: Any) -> AdapterSettings:
        path = tmp_path / "agents.config.json"
        file = {"defaults": defaults or {}, "agents": [{"id": "a", "entryPoint": "m:f", **agent}]}
        path.write_text(json.dumps(file))
        return load(CommandLine(agent="a", config=str(path)), process)

    return run


@pytest.fixture
def seen(settings: Callable[..., AdapterSettings]) -> Seen:
    """Give the environment that agent code sees."""
    return lambda *args, **kwargs: settings(*args, **kwargs).environment


def test_the_process_and_the_configuration_add_up(seen: Seen) -> None:
    """Agent code sees both."""
    assert seen({"HOME": "/root"}, environment={"MODE": "fast"}) == {"HOME": "/root", "MODE": "fast"}


def test_the_processs_own_variable_wins(seen: Seen) -> None:
    """Whoever starts the process has the last word."""
    assert seen({"MODE": "slow"}, environment={"MODE": "fast"})["MODE"] == "slow"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${KEY}", "k"),
        ("${KEY:-none}", "k"),
        ("${UNSET:-}", ""),
        ("${UNSET:-some text}", "some text"),
        ("Bearer ${KEY}-${KEY}", "Bearer k-k"),
        ("$$HOME and $KEY", "$HOME and $KEY"),
    ],
)
def test_references_are_filled_in(seen: Seen, text: str, expected: str) -> None:
    """From the process, or with what stands behind `:-`."""
    assert seen({"KEY": "k"}, environment={"A": text})["A"] == expected


def test_the_environment_file_lies_beside_the_configuration(seen: Seen, tmp_path: Path) -> None:
    """It is below the process and the agent's `environment`, which may refer to it."""
    (tmp_path / ".env").write_text('# keys\nKEY="k v"\nexport MODE=file\nHOME=/file\n')
    found = seen({"HOME": "/root"}, environmentFile=".env", environment={"MODE": "own", "COPY": "${KEY}"})
    assert found == {"KEY": "k v", "MODE": "own", "HOME": "/root", "COPY": "k v"}


def test_the_defaults_environment_file_may_be_missing(seen: Seen) -> None:
    """The example configuration names one that a fresh checkout does not have."""
    assert seen({}, {"environmentFile": ".env"}) == {}


def test_an_agents_own_environment_file_may_not(settings: Callable[..., AdapterSettings]) -> None:
    """Also when it has the name of the one in `defaults`."""
    with pytest.raises(Exception, match="environmentFile: no such file"):
        settings({}, {"environmentFile": ".env"}, environmentFile=".env")
    with pytest.raises(Exception, match="environmentFile: no such file"):
        settings({"AGENT_ENVIRONMENT_FILE": "x.env"})


def test_the_secrets_are_not_among_them(settings: Callable[..., AdapterSettings], tmp_path: Path) -> None:
    """Neither from the process nor from a file; the adapter itself still has its token."""
    (tmp_path / ".env").write_text("".join(f"{name}=canary\n" for name in SECRETS))
    file = tmp_path / "token"
    file.write_text("canary")
    process = dict.fromkeys(SECRETS, "canary") | {"MANAGER_TOKEN_FILE": str(file), "HOME": "/root"}
    found = settings(process, environmentFile=".env")
    assert found.environment == {"HOME": "/root"}
    assert found.manager_tokens == ("canary",)


def test_entering_it_makes_it_the_processs_own(
    settings: Callable[..., AdapterSettings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is not agent code's is gone from `os.environ`, and the working directory is the agent's."""
    before = dict(os.environ)
    monkeypatch.setenv("MANAGER_TOKEN", "canary")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work").mkdir()
    try:
        enter_environment(
            settings({**before, "MANAGER_TOKEN": "canary"}, environment={"MODE": "x"}, workingDirectory="work")
        )
        assert dict(os.environ) == {**before, "MODE": "x"}
        assert Path.cwd() == tmp_path / "work"
    finally:
        os.environ.clear()
        os.environ.update(before)
