"""`agentctl execute`: the result alone on standard output, everything else on standard error."""

import json
from collections.abc import Iterator
from threading import Event

from tests.agentctl.command import agentctl, running
from tests.agentctl.fake_manager import FakeManager, Reply, event

PATH = "/api/agent-services/planner/execute"
DONE = {"taskId": "t-1", "result": {"steps": [1, "ä"]}, "durationSeconds": 0.1}


def test_execute_sends_parameters_and_prints_the_result_alone(manager: FakeManager) -> None:
    """Texts, JSON values and a file are one object, in which `-p` wins."""
    manager.on("POST", PATH, DONE)
    given = ("-f", "-", "-p", "goal=a=b", "-p", "limit:=3", "-p", 'deep:={"x": [null]}')
    run = agentctl("execute", "planner", *given, manager=manager.url, stdin='{"limit": 1, "kept": true}')
    assert json.loads(run.stdout) == DONE["result"]
    assert "ä" in run.stdout
    assert run.stderr == ""
    parameters = {"limit": 3, "kept": True, "goal": "a=b", "deep": {"x": [None]}}
    assert manager.last("POST").body == {"parameters": parameters}
    assert "Prefer" not in manager.last("POST").headers


def test_a_text_result_is_printed_as_text(manager: FakeManager) -> None:
    """It can be redirected into a file as it is."""
    manager.on("POST", PATH, {**DONE, "result": "two\nlines\x1b[0m"})
    assert agentctl("execute", "planner", manager=manager.url).stdout == "two\nlines\x1b[0m\n"


def test_execute_async_prints_the_task_id(manager: FakeManager) -> None:
    """The id alone, for a script to wait on."""
    manager.on("POST", PATH, Reply({"taskId": "t-1"}, 202))
    run = agentctl("execute", "planner", "--async", manager=manager.url)
    assert (run.returncode, run.stdout, run.stderr) == (0, "t-1\n", "")
    assert manager.last("POST").headers["Prefer"] == "respond-async"


def test_execute_stream_prints_each_chunk_as_it_comes(manager: FakeManager) -> None:
    """The first chunk is there before the second was made: text as it is, other values a line each."""
    read_first = Event()

    def events() -> Iterator[bytes]:
        yield b": hello\n\n" + event("chunk", "one ")
        assert read_first.wait(20)
        yield event("chunk", "two") + event("chunk", {"n": 3}) + event("result", {"result": ["one ", "two", {"n": 3}]})

    manager.on("POST", PATH, Reply(events=events))
    with running("execute", "planner", "--stream", manager=manager.url) as stream:
        stream.until("one ")
        read_first.set()
        assert stream.rest() == (0, 'one two\n{"n": 3}\n')
    assert manager.last("POST").headers["Accept"] == "text/event-stream"


def test_execute_stream_of_an_agent_that_does_not_stream_prints_the_result(manager: FakeManager) -> None:
    """No chunk came, so the result is all there is."""
    manager.on("POST", PATH, Reply(events=lambda: iter([event("result", DONE)])))
    assert json.loads(agentctl("execute", "planner", "--stream", manager=manager.url).stdout) == DONE["result"]


def test_a_stream_that_fails_or_breaks_is_a_failure(manager: FakeManager) -> None:
    """An error event has the exit code of its problem; a stream without an end is nobody's success."""
    problem = {"status": 409, "code": "agent-cancelled", "detail": "cancelled", "taskId": "t-1"}
    failing = [event("chunk", 1), event("error", problem)]
    manager.on("POST", PATH, Reply(events=lambda: iter(failing)), Reply(events=lambda: iter(failing[:1])))
    run = agentctl("execute", "planner", "--stream", manager=manager.url)
    assert (run.returncode, run.stdout) == (4, "1\n")
    assert run.stderr == "error: cancelled (agent-cancelled, task t-1)\n"
    run = agentctl("execute", "planner", "--stream", manager=manager.url)
    assert (run.returncode, run.stdout) == (5, "1\n")
    assert "ended before its result" in run.stderr


def test_progress_shows_on_a_terminal_and_ctrl_c_says_how_to_end_the_task(manager: FakeManager) -> None:
    """The call goes on after Ctrl-C, so the person is told the task's id and the command that cancels it."""
    answered = Event()

    def late() -> Iterator[bytes]:
        answered.wait(20)
        yield b""

    task = {"taskId": "t-1", "state": "running", "progress": {"fraction": 0.4, "message": "reading"}}
    manager.on("POST", PATH, Reply(events=late))
    manager.on("GET", "/api/agent-services/planner/tasks", {"tasks": [task]})
    with running("execute", "planner", manager=manager.url, terminal=True) as shown:
        shown.until("running 40% reading")
        shown.process.send_signal(2)
        code, text = shown.rest()
        answered.set()
    assert code == 130
    assert "the task goes on; agentctl cancel t-1 ends it" in text
    assert "Traceback" not in text
    key = manager.last("POST").headers["Idempotency-Key"]
    assert manager.last("GET").query == {"key": key}
