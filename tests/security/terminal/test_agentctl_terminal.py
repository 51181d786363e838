"""On a real terminal nothing that an agent says of itself acts on it, whatever the command."""

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from agent_contract.readable import STEERING, harmless

from tests.agentctl.command import agentctl, running
from tests.agentctl.fake_manager import FakeManager, Reply, event, listing
from tests.security.terminal.evil_manager import EVIL, FLEET, left_of, make_evil, stream_evil

PRINTED = (
    ("get", "agents", "-o", "wide"),
    ("get", "agents", "-o", "json"),
    ("get", "agents", "-o", "yaml"),
    ("get", "agents", "-o", "name"),
    ("get", "instances", "-o", "wide"),
    ("get", "instances", "-o", "name"),
    ("get", "tasks", "-o", "wide"),
    ("get", "drain", "planner", "-o", "wide"),
    ("get", "drain", "planner", "-o", "json"),
    ("describe", "agent", "planner"),
    ("describe", "task", "t-1"),
    ("execute", "planner"),
    ("execute", "planner", "--async"),
    ("logs", "planner"),
    ("pause", "planner"),
    ("pause", "planner", "--wait"),
    ("restart", "planner", "--wait"),
    ("cancel", "t-1"),
    ("drain", "planner", "--extend", "5s"),
    ("wait", "planner", "--for", "state=running", "--timeout", "0.5"),
    ("describe", "agent", EVIL.replace("\0", "")),
    ("conquer" + EVIL.replace("\0", ""),),
)


@pytest.fixture
def manager() -> Iterator[FakeManager]:
    """Give a manager that says what an evil agent says."""
    with FakeManager() as fake:
        make_evil(fake)
        yield fake


@pytest.mark.parametrize("arguments", PRINTED, ids=" ".join)
def test_nothing_that_an_agent_says_acts_on_the_terminal(manager: FakeManager, arguments: tuple[str, ...]) -> None:
    """Names, versions, labels, problems, results, logs: what acts is spelled out, and nothing is lost."""
    with running(*arguments, manager=manager.url, terminal=True) as command:
        _, text = command.rest()
    assert "owned" in text or "pause" in text
    assert left_of(text) == set()
    assert "\x1b[5" not in text


STREAMED = (("execute", "planner", "--stream"), ("logs", "planner", "-f"))
WATCHED = (
    ("get", "agents", "-w"),
    ("get", "instances", "-w"),
    ("get", "tasks", "-w"),
    ("get", "drain", "planner", "-w"),
)


@pytest.mark.parametrize("arguments", STREAMED, ids=" ".join)
def test_nothing_that_is_streamed_acts_on_the_terminal(manager: FakeManager, arguments: tuple[str, ...]) -> None:
    """Chunk by chunk and line by line, the error at the end too."""
    stream_evil(manager)
    with running(*arguments, manager=manager.url, terminal=True) as command:
        text = command.until("trying again" if "-f" in arguments else "error: ")
    assert "owned" in text
    assert left_of(text) == set()


@pytest.mark.parametrize("arguments", WATCHED, ids=" ".join)
def test_nothing_that_is_watched_in_place_acts_on_the_terminal(
    manager: FakeManager, arguments: tuple[str, ...]
) -> None:
    """Tables that are redrawn, and what is said above them."""
    watched = Reply(events=lambda: iter([event("agent", {"revision": 2, "removed": EVIL})]))
    manager.on("GET", FLEET, listing(), watched)
    if "agents" in arguments or "instances" in arguments:
        make_evil(manager)
        manager.on("GET", FLEET, *manager._replies["GET", FLEET], watched)
    with running(*arguments, manager=manager.url, terminal=True, variables={"COLUMNS": "200"}) as command:
        text = command.until("\\x1b[5;41m")
        command.process.send_signal(2)
        text += command.rest()[1]
    assert left_of(text) == set()


def test_an_agent_forges_no_line_of_another(manager: FakeManager) -> None:
    """Of a message of several lines and of a traceback the further ones are set in; other lines stay one."""
    lines = agentctl("logs", "planner", manager=manager.url).stdout.splitlines()
    assert len([line for line in lines if not line.startswith("    ")]) == 2


def test_a_result_goes_into_a_pipe_as_it_is_and_a_log_does_not(manager: FakeManager) -> None:
    """The one is data; the other is rendered for people, who look at it behind the pipe."""
    assert agentctl("execute", "planner", manager=manager.url).stdout == EVIL.replace("\r", "\n") + "\n"  # text mode
    assert set(STEERING.findall(agentctl("logs", "planner", manager=manager.url).stdout)) == set()


def test_json_and_yaml_are_harmless_and_stay_the_same_value(manager: FakeManager) -> None:
    """What is escaped is read back as it was."""
    given = manager._replies["GET", FLEET][0].body["agents"]
    for form, load in (("json", json.loads), ("yaml", yaml.safe_load)):
        printed = agentctl("get", "agents", "-o", form, manager=manager.url).stdout
        assert load(printed)["agents"] == given
        assert set(STEERING.findall(printed)) == set()


def test_the_shell_completes_no_id_that_is_none(manager: FakeManager) -> None:
    """It would stand in a command line."""
    asked = {"_AGENTCTL_COMPLETE": "bash_complete", "COMP_WORDS": "agentctl pause ", "COMP_CWORD": "2"}
    assert agentctl(manager=manager.url, variables=asked).stdout == "plain,planner\n"


def test_init_writes_its_paths_harmlessly(tmp_path: Path) -> None:
    """And what it says to type is quoted."""
    with running("init", "a \x1b[5mb", cwd=tmp_path, terminal=True) as command:
        _, text = command.rest()
    assert left_of(text) == set()
    assert "cd 'a \\x1b[5mb' && agentctl up" in text


def test_what_would_act_is_seen_by_these_tests() -> None:
    """And what agentctl sends itself is not mistaken for it."""
    assert left_of("\x1b[32mrunning\x1b[0m\r\x1b[2K\x1b[1A\r\n") == set()
    for evil in ("\x1b[5m", "\x1b]0;t\x07", "a\rb", "\x9b2J", "\u202e", "\u200b"):
        assert left_of(evil)


def test_every_character_that_acts_or_has_no_looks_is_spelled() -> None:
    """All of Unicode's controls, line and paragraph ends, halves, and formats but a few Arabic and Indic marks."""
    seen = {"\t", "\n", *map(chr, (*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD))}
    signs = (chr(code) for code in range(0x20000))
    acting = {sign for sign in signs if unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp"}} - seen
    missed = {hex(ord(sign)) for sign in acting if harmless(sign) == sign}
    assert missed <= {
        hex(code) for code in (*range(0x13430, 0x13440), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B))
    }
