"""What goes on: `get -w`, `get drain -w`, `logs -f`, also over a restart of the manager."""

import json
from collections.abc import Iterator
from threading import Event
from typing import Any

from tests.agentctl.command import agentctl, invoke, running
from tests.agentctl.fake_manager import FakeManager, Reply, agent, event, instance, listing

FLEET = "/api/agent-services"
DRAIN = f"{FLEET}/executor/drain"
LOGS = f"{FLEET}/planner/logs"


class HeldStream:
    """A stream that gives its events and then stays open until the test lets go."""

    def __init__(self, *events: bytes) -> None:
        self._events = events
        self.let_go = Event()

    def __call__(self) -> Iterator[bytes]:
        """Give the events, then nothing."""
        yield from self._events
        self.let_go.wait(20)


def test_watching_agents_prints_what_changes_and_nothing_else(manager: FakeManager) -> None:
    """A beat alone is no news; an agent that leaves the list is told on standard error."""
    quiet = agent("planner", instance())
    beaten = agent("planner", instance(lastSeen="2026-01-01T13:00:00Z"))
    paused = agent("planner", instance(state="paused"), state="paused")
    stream = HeldStream(
        event("listing", listing(quiet)),
        event("agent", {"revision": 2, "agent": beaten}),
        event("agent", {"revision": 3, "agent": paused}),
        event("agent", {"revision": 4, "removed": "planner"}),
    )
    manager.on("GET", FLEET, listing(quiet), Reply(events=stream))
    with running("get", "agents", "-w", manager=manager.url) as watch:
        text = watch.until("agent planner is no longer listed")
        stream.let_go.set()
    rows = [line.split()[:3] for line in text.splitlines()]
    assert rows[:3] == [["NAME", "READY", "STATE"], ["planner", "1/1", "running"], ["planner", "1/1", "paused"]]
    assert len(rows) == 4


def test_a_watch_survives_a_restart_of_the_manager(manager: FakeManager) -> None:
    """It says that the manager went, tries again, says that it is back, and shows what changed meanwhile."""
    before, after = agent("planner", instance()), agent("planner", instance("i-2", version="2.0.0"))
    broken = Reply(events=lambda: iter([event("listing", listing(before))]))
    stream = HeldStream(event("listing", listing(after)))
    leaving = Reply({"status": 503, "code": "unavailable", "detail": "the manager is leaving"}, 503)
    manager.on("GET", FLEET, listing(before), broken, leaving, Reply(events=stream))
    with running("get", "instances", "-w", "-o", "name", manager=manager.url) as watch:
        text = watch.until("instance i-1 is no longer listed")
        stream.let_go.set()
        watch.process.send_signal(2)
        code, _ = watch.rest()
    told = text.splitlines()
    assert told[0] == "instance/i-1"
    assert "ended the stream; trying again until it is back" in told[1]
    assert told[2:] == [f"the manager at {manager.url} is back", "instance/i-2", "instance i-1 is no longer listed"]
    assert code == 130


def test_watching_as_json_prints_an_object_a_line(manager: FakeManager) -> None:
    """So that `jq` can read it as it comes."""
    before, after = agent("planner", instance()), agent("planner", instance(running=1))
    stream = HeldStream(event("listing", listing(after)))
    manager.on("GET", f"{FLEET}/planner", before)
    manager.on("GET", FLEET, Reply(events=stream))
    with running("get", "agents", "planner", "-w", "-o", "json", manager=manager.url) as watch:
        text = watch.until('"running": 1')
        stream.let_go.set()
    assert json.loads(text.splitlines()[-1]) == after


def test_watching_tasks_prints_those_that_changed(manager: FakeManager) -> None:
    """Tasks have no stream: they are asked for each second."""
    task = {"taskId": "t-1", "agent": "planner", "state": "running"}
    manager.on("GET", "/api/tasks", {"tasks": [task]}, {"tasks": [{**task, "state": "succeeded"}]})
    with running("get", "tasks", "-w", manager=manager.url) as watch:
        text = watch.until("succeeded")
    assert [line.split()[2] for line in text.splitlines()] == ["STATE", "running", "succeeded"]


def test_watching_on_a_terminal_redraws_the_table_in_place(manager: FakeManager) -> None:
    """Agents that come and go as well; rows that have no room are counted."""
    many = [agent(f"agent-{number}", instance()) for number in range(9)]
    paused = {**many[0], "state": "paused"}
    stream = HeldStream(event("listing", listing(*many)), event("agent", {"revision": 2, "agent": paused}))
    manager.on("GET", FLEET, listing(*many[1:]), Reply(events=stream))
    small = {"LINES": "6", "COLUMNS": "100"}
    with running("get", "agents", "-w", manager=manager.url, terminal=True, variables=small) as watch:
        text = watch.until("paused")
        stream.let_go.set()
        watch.process.send_signal(2)
        code, _ = watch.rest()
    assert "and 6 more" in text
    assert "\x1b[1A\x1b[2KNAME" in text
    assert code == 130


def test_watching_tasks_on_a_terminal_says_that_the_manager_went(manager: FakeManager) -> None:
    """Above the table, which stays."""
    task = {"taskId": "t-1", "agent": "planner", "state": "running"}
    away = Reply({"status": 503, "code": "unavailable", "detail": "the manager is leaving"}, 503)
    manager.on("GET", "/api/tasks", {"tasks": [task]}, away, {"tasks": []})
    with running("get", "tasks", "-w", manager=manager.url, terminal=True) as watch:
        text = watch.until("no tasks")
    assert "the manager is leaving (unavailable)" in text
    assert "is back" in text


def drain(*blockers: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Give the answer of `GET drain` for one instance that drains."""
    now = {"reason": "signal", "deadline": "2026-01-01T12:05:00Z", "remainingSeconds": 95.5, "etaSeconds": 40}
    return {"instances": [{"instanceId": "i-1", **now, "safeToDelete": False, "blockers": list(blockers), **members}]}


BLOCKER = {"taskId": "t-1", "ageSeconds": 12.2, "etaSeconds": 40, "caller": "ada"}
READING = {**BLOCKER, "progress": {"fraction": 0.25, "message": "reading"}}


def test_get_drain_shows_what_holds_it(manager: FakeManager) -> None:
    """Blockers with age, progress and ETA; the deadline and what is left of it; an instance that cannot be asked."""
    answer = drain(READING, {"taskId": "t-2", "ageSeconds": 3})
    answer["instances"].append({"instanceId": "i-2", "error": {"code": "unavailable", "detail": "no answer"}})
    manager.on("GET", DRAIN, answer)
    run = agentctl("get", "drain", "executor", manager=manager.url)
    head, first, second = run.stdout.splitlines()
    assert head.split() == ["INSTANCE", "REASON", "DEADLINE", "REMAINING", "TASK", "AGE", "PROGRESS", "ETA", "CALLER"]
    assert first.split() == ["i-1", "signal", "12:05:00Z", "1m35s", "t-1", "12s", "25%", "reading", "40s", "ada"]
    assert second.split()[4:] == ["t-2", "3s", "-", "-", "-"]
    assert run.stderr == "instance i-2 could not be asked: no answer\n"


def test_get_drain_of_an_idle_agent(manager: FakeManager) -> None:
    """With no drain under way it shows what would hold one: nothing."""
    manager.on("GET", DRAIN, drain(reason=None, deadline=None, safeToDelete=True))
    assert agentctl("get", "drain", "executor", manager=manager.url).stdout.splitlines()[1].split()[:2] == ["i-1", "-"]


def test_watching_a_drain_in_a_pipe_prints_a_line_a_change(manager: FakeManager) -> None:
    """Time that passes is no change; progress is, and so is the end."""
    older = drain({**READING, "ageSeconds": 13.2}, remainingSeconds=94.5)
    manager.on("GET", DRAIN, drain(BLOCKER), drain(READING), older, {"instances": []})
    with running("get", "drain", "executor", "-w", manager=manager.url) as watch:
        lines = watch.until("has left").splitlines()
    assert len(lines) == 3
    bounds = "draining (signal), 1m35s left, deadline 12:05:00Z, eta 40s"
    assert lines[0].split(" ", 1)[1] == f"executor/i-1 {bounds}: task t-1 age 12s eta 40s"
    assert lines[1].split(" ", 1)[1] == f"executor/i-1 {bounds}: task t-1 age 12s 25% reading eta 40s"


def test_watching_a_drain_on_a_terminal_redraws_in_place(manager: FakeManager) -> None:
    """The table is drawn over the last one: the cursor goes up before the second."""
    manager.on("GET", DRAIN, drain(BLOCKER), drain(READING))
    with running("get", "drain", "executor", "-w", manager=manager.url, terminal=True) as watch:
        text = watch.until("25% reading")
        watch.process.send_signal(2)
        code, rest = watch.rest()
    assert "executor: 1 of 1 draining, 1 in hand" in text
    assert "\x1b[1A" in text
    assert (code, "Traceback" in rest) == (130, False)


def test_a_drain_on_a_narrow_terminal_has_its_tasks_ids_whole(manager: FakeManager) -> None:
    """They are what `--cancel` takes; an instance that cannot be asked has its line too."""
    task_id = "01a20fd0-91aa-766e-8fba-e3093f4f3cec"
    answer = drain({**READING, "taskId": task_id, "progress": {"fraction": 0.5, "message": "reading " * 20}})
    answer["instances"].append({"instanceId": "i-2", "error": {"code": "unavailable", "detail": "no answer"}})
    manager.on("GET", DRAIN, answer)
    narrow = {"COLUMNS": "80"}
    with running("get", "drain", "executor", "-w", manager=manager.url, terminal=True, variables=narrow) as watch:
        text = watch.until("i-2 could not be asked: no answer")
    assert "i-1 signal, 1m35s left (till 12:05:00Z), eta 40s" in text
    (row,) = [line for line in text.splitlines() if task_id in line]
    assert "50% reading" in row
    assert "ada" in row


def log_line(second: int, message: str) -> str:
    """Give a line as adapters log it."""
    time = f"2026-01-01T12:00:{second:02}.000Z"
    return json.dumps({"timestamp": time, "level": "info", "message": message, "agent": "planner"})


def given(instance_id: str, line: str) -> dict[str, str]:
    """Give a line as the manager passes it on."""
    return {"instanceId": instance_id, "line": line}


def test_logs_are_readable_and_told_apart_by_instance(manager: FakeManager) -> None:
    """JSON lines are rendered, others harmless; with one instance there is no prefix."""
    manager.on("GET", LOGS, {"lines": [given("i-1", log_line(1, "began")), given("i-1", "plain \x1b[31mred\x07")]})
    run = agentctl("logs", "planner", "--tail", "7", "--instance", "i-1", manager=manager.url)
    assert run.stdout == "12:00:01.000 info    began\nplain red\\x07\n"
    assert manager.last("GET").query == {"lines": "7", "instanceId": "i-1"}
    manager.on("GET", LOGS, {"lines": [given("aaaaaa-1", log_line(1, "a")), given("aaaaaa-2", log_line(2, "b"))]})
    assert invoke("logs", "planner", manager=manager.url).stdout.splitlines()[1].startswith("aaaa-2 | 12:00:02")


def test_logs_since_leaves_out_what_is_older(manager: FakeManager) -> None:
    """A line without a time goes with the one before it, as a traceback does."""
    young = json.dumps({"timestamp": "2999-01-01T00:00:00Z", "level": "error", "message": "boom"})
    lines = [log_line(1, "old"), "old traceback", young, "young traceback"]
    manager.on("GET", LOGS, {"lines": [given("i-1", line) for line in lines]})
    run = agentctl("logs", "planner", "--since", "5m", manager=manager.url)
    assert [line.split()[-1] for line in run.stdout.splitlines()] == ["boom", "traceback"]
    assert "old" not in run.stdout
    assert manager.last("GET").query["lines"] == "5000"


def test_following_logs_over_a_restart_repeats_no_line(manager: FakeManager) -> None:
    """The stream that was begun again brings the tail again; what was printed is not printed twice."""
    first, second, third = (event("line", given("i-1", log_line(number, f"n{number}"))) for number in (1, 2, 3))
    held = HeldStream(first, second, third)
    manager.on("GET", LOGS, Reply(events=lambda: iter([first, second])), Reply(events=held))
    with running("logs", "planner", "-f", manager=manager.url) as following:
        text = following.until("n3")
        held.let_go.set()
    assert [text.count(f"n{number}") for number in (1, 2, 3)] == [1, 1, 1]
    assert manager.last("GET").query["follow"] == "true"
