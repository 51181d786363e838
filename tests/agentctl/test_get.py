"""`agentctl get`: tables, formats, names."""

import json
import re

import yaml

from tests.agentctl.command import agentctl, invoke, running
from tests.agentctl.fake_manager import FakeManager, agent, instance, listing

FLEET = "/api/agent-services"
CRASHED = {"code": "agent-crashed", "detail": "3 crashes in 60 s", "since": "2026-01-01T12:00:00Z"}


def test_get_agents_prints_the_columns_of_an_agent(manager: FakeManager) -> None:
    """Counts are sums over instances; the problem of an instance shows at its agent."""
    first = instance("i-1", running=2, queued=1, restarts=1)
    second = instance("i-2", running=1, state="stopping", version="1.1.0", problem=CRASHED)
    manager.on("GET", FLEET, listing(agent("planner", first, second, readyInstances=1), agent("idle", state="stopped")))
    run = agentctl("get", "agents", manager=manager.url)
    assert run.returncode == 0, run.stderr
    head, planner, idle = run.stdout.splitlines()
    assert head.split() == ["NAME", "READY", "STATE", "TASKS", "QUEUED", "RESTARTS", "VERSION", "AGE", "PROBLEM"]
    assert planner.split()[:7] == ["planner", "1/2", "running", "3", "1", "1", "1.0.0,1.1.0"]
    assert planner.split()[-1] == "agent-crashed"
    assert idle.split() == ["idle", "0/0", "stopped", "0", "0", "0", "-", "-", "-"]


def test_get_agents_by_name_asks_for_that_one(manager: FakeManager) -> None:
    """The singular works as well, and a name prints one row."""
    manager.on("GET", f"{FLEET}/planner", agent("planner", instance()))
    run = agentctl("get", "agent", "planner", manager=manager.url)
    assert run.stdout.splitlines()[1].startswith("planner   1/1")


def test_get_agents_of_none_says_so_on_standard_error(manager: FakeManager) -> None:
    """An empty table is no row on standard output, for the program that reads it."""
    manager.on("GET", FLEET, listing())
    run = agentctl("get", "agents", manager=manager.url)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "no agents\n")


def test_get_in_formats_for_programs(manager: FakeManager) -> None:
    """JSON and YAML keep every member, also those that no table shows; names are one a line."""
    planner = agent("planner", instance(), colour="blue")
    manager.on("GET", FLEET, listing(planner))
    manager.on("GET", f"{FLEET}/planner", planner)
    assert json.loads(agentctl("get", "agents", "-o", "json", manager=manager.url).stdout) == {"agents": [planner]}
    assert yaml.safe_load(invoke("get", "agents", "planner", "-o", "yaml", manager=manager.url).stdout) == planner
    assert invoke("get", "agents", "-o", "name", manager=manager.url).stdout == "agent/planner\n"


def test_get_agents_wide_adds_columns(manager: FakeManager) -> None:
    """Wide shows what an operator ordered and why something is wrong."""
    manager.on("GET", FLEET, listing(agent("planner", instance(), desiredState="paused", problem=CRASHED)))
    head, row = agentctl("get", "agents", "-o", "wide", manager=manager.url).stdout.splitlines()
    assert head.split()[-4:] == ["DESIRED", "SOURCES", "TITLE", "DETAIL"]
    assert "paused" in row
    assert row.endswith("3 crashes in 60 s")


def test_get_instances_of_one_agent(manager: FakeManager) -> None:
    """`--agent` asks for that agent only; an unreachable instance says so."""
    manager.on("GET", f"{FLEET}/planner", agent("planner", instance("i-1"), instance("i-2", reachable=False)))
    run = agentctl("get", "instances", "--agent", "planner", manager=manager.url)
    rows = [line.split() for line in run.stdout.splitlines()]
    assert rows[0][:4] == ["NAME", "AGENT", "STATE", "REACHABLE"]
    assert [row[:4] for row in rows[1:]] == [["i-1", "planner", "running", "yes"], ["i-2", "planner", "running", "no"]]


def test_get_instance_that_is_not_there_exits_3(manager: FakeManager) -> None:
    """The name is told, and how to find the right one."""
    manager.on("GET", FLEET, listing(agent("planner", instance())))
    run = agentctl("get", "instances", "i-9", manager=manager.url)
    assert (run.returncode, run.stdout) == (3, "")
    assert run.stderr == "error: no instance 'i-9': agentctl get instances lists them\n"


def test_get_tasks_lists_and_finds_one(manager: FakeManager) -> None:
    """The list has every agent's tasks; one is asked of its agent, which alone has its result."""
    progress = {"fraction": 0.4, "message": "reading"}
    task = {"taskId": "t-1", "agent": "planner", "instanceId": "i-1", "state": "running", "progress": progress}
    silent = {"instanceId": "i-2", "error": {"code": "unavailable", "detail": "no answer"}}
    manager.on("GET", "/api/tasks", {"tasks": [task], "errors": [silent]})
    manager.on("GET", f"{FLEET}/planner/tasks/t-1", {"taskId": "t-1", "state": "succeeded", "result": 7})
    run = agentctl("get", "tasks", manager=manager.url)
    assert run.stderr == "tasks of instance i-2 are missing: no answer\n"
    row = run.stdout.splitlines()[1]
    assert row.startswith("t-1    planner   running")
    assert "40% reading" in row
    one = json.loads(invoke("get", "task", "t-1", "-o", "json", manager=manager.url).stdout)
    assert one == {"agent": "planner", "taskId": "t-1", "state": "succeeded", "result": 7}


def test_get_task_that_nobody_lists_is_asked_for_everywhere(manager: FakeManager) -> None:
    """A listing is bounded: a task that is not in it may still be known; one that is not exits 3."""
    manager.on("GET", "/api/tasks", {"tasks": []})
    manager.on("GET", FLEET, listing(agent("planner"), agent("executor")))
    manager.on("GET", f"{FLEET}/executor/tasks/t-1", {"taskId": "t-1", "state": "failed"})
    assert agentctl("get", "tasks", "t-1", "-o", "name", manager=manager.url).stdout == "task/t-1\n"
    run = invoke("get", "tasks", "t-2", manager=manager.url)
    assert run.returncode == 3
    assert "no agent knows task 't-2'" in run.stderr


def test_a_table_fits_the_terminal_and_a_pipe_gets_it_whole(manager: FakeManager) -> None:
    """On a terminal a long cell is cut, never wrapped, and states have colours; NO_COLOR is obeyed."""
    long = "x" * 200
    manager.on("GET", FLEET, listing(agent("planner", instance(), problem={**CRASHED, "detail": long})))
    assert long in agentctl("get", "agents", "-o", "wide", manager=manager.url).stdout
    wide = {"COLUMNS": "140"}
    with running("get", "agents", "-o", "wide", manager=manager.url, terminal=True, variables=wide) as shown:
        _, text = shown.rest()
    assert "\x1b[32mrunning" in text
    assert "…" in text
    assert all(len(re.sub(r"\x1b\[\d*m", "", line)) <= 140 for line in text.splitlines())
    plain = {**wide, "NO_COLOR": "1"}
    with running("get", "agents", manager=manager.url, terminal=True, variables=plain) as shown:
        assert "\x1b" not in shown.rest()[1]
