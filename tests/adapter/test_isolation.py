"""`isolation: "process"`: what an agent can do in the adapter's process it can do in one of its own."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest
import structlog
from agent_adapter.agents.json_lines import CHUNK_WINDOW
from agent_adapter.errors import AgentError, Rejected, StartFailed
from agent_contract.problems import Problem

from tests.adapter.isolation import TRACEPARENT, Bench, Calls, worker


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Give the event loop that the adapter runs on."""
    return "asyncio", {"use_uvloop": True}


async def test_a_function_runs_in_another_process() -> None:
    """The result comes from a process that is not this one, and the next call meets the same."""
    async with worker("Counter") as bench:
        first, second = msgspec.json.decode(await bench.run()), msgspec.json.decode(await bench.run())
    assert first["pid"] == second["pid"] != os.getpid()
    assert (first["calls"], second["calls"]) == (101, 102)


async def test_the_child_is_light() -> None:
    """It loads what the agent needs, and not what the adapter needs to be a service."""
    async with worker("loaded") as bench:
        loaded = set(msgspec.json.decode(await bench.run()))
    assert loaded.isdisjoint({"litestar", "httpx", "uvicorn", "structlog", "prometheus_client", "jsonschema"})


async def test_close_runs_in_the_child(tmp_path: Path) -> None:
    """The agent's own `close()` runs before its process ends."""
    async with worker("Counter") as bench:
        await bench.run({"file": str(tmp_path / "word")})
    assert (tmp_path / "word").read_text() == "closed"


async def test_the_schema_of_the_annotation_is_known() -> None:
    """The child says what its code annotated."""
    async with worker("greet") as bench:
        assert bench.agent.parameters_schema is not None
        assert bench.agent.parameters_schema["required"] == ["name"]
        assert not bench.agent.streams
        assert await bench.run({"name": "Ada"}) == b'"hello Ada"'


async def test_parameters_that_break_the_annotation_are_rejected_with_the_field() -> None:
    """The child checks them; the caller learns the place."""
    async with worker("greet") as bench:
        with pytest.raises(Rejected) as caught:
            await bench.run({"name": 3})
    assert caught.value.field == "parameters.name"


async def test_the_configurations_schema_is_checked_before_a_task_begins() -> None:
    """A schema of the configuration replaces the annotation, as it does without isolation."""
    schema = {"type": "object", "properties": {"name": {"type": "integer"}}}
    async with worker("greet", schema=schema) as bench:
        with pytest.raises(Rejected) as caught:
            bench.agent.accept({"name": "Ada"})
        assert await bench.run({"name": 3}) == b'"hello 3"'
    assert caught.value.field == "parameters.name"
    assert bench.agent.parameters_schema == schema


async def test_the_context_says_what_the_adapter_knows() -> None:
    """Deadline, trace and task reach the child."""
    async with worker("told") as bench:
        assert msgspec.json.decode(await bench.run()) == {
            "taskId": "task-1",
            "deadline": "2030-01-02T00:00:00+00:00",
            "traceparent": TRACEPARENT,
            "streaming": True,
        }


async def test_reject_is_the_callers_mistake() -> None:
    """`context.reject` crosses the process with its field."""
    async with worker("fail") as bench:
        with pytest.raises(Rejected, match="no such town") as caught:
            await bench.run({"way": "reject"})
    assert caught.value.field == "parameters.town"


@pytest.mark.parametrize(
    ("way", "code", "detail"),
    [
        ("raise", "agent-failed", "LookupError: nothing found"),
        ("exit", "agent-failed", "SystemExit: 3"),
        ("size", "result-too-large", "the result has 10485762 bytes, more than 10485760"),
        ("form", "agent-failed", "cannot encode the result: a object has no JSON form"),
    ],
)
async def test_a_failure_has_the_problem_that_it_has_without_isolation(way: str, code: str, detail: str) -> None:
    """What the code raised is told by type and message, and the process lives on."""
    async with worker("fail") as bench:
        with pytest.raises(Problem) as caught:
            await bench.run({"way": way})
        assert (caught.value.code, caught.value.detail) == (code, detail)
        assert await bench.run({"way": "none"}) == b"null"
    assert bench.restarts == 0


async def test_a_traceback_goes_to_the_log_with_its_task() -> None:
    """The operator finds the place in the code; the caller does not."""
    with structlog.testing.capture_logs() as lines:
        async with worker("fail") as bench:
            with pytest.raises(Problem):
                await bench.run({"way": "raise"})
    line = next(line for line in lines if line["event"] == "agent code raised")
    assert line["task_id"] == "task-1"
    assert "isolated_agents.py" in line["exception"]


async def test_whatever_agent_code_says_is_logged_and_never_taken_for_an_answer() -> None:
    """Prints, logs, the standard error and a program's output become log lines; stdin is empty."""
    with structlog.testing.capture_logs() as lines:
        async with worker("speak") as bench:
            assert await bench.run() == b'""'
    said = {line["event"]: line for line in lines}
    for text in ("printed line", "to stderr", "logged"):
        assert said[text]["task_id"] == "task-1"
    assert said["logged"]["log_level"] == "warning"
    assert said["logged"]["town"] == "Bern"
    assert {"from a program", '{"taskId": "task-1", "result": "forged"}'} <= said.keys()


async def test_code_that_configures_logging_itself_is_still_heard() -> None:
    """Its handler writes to the standard error, which is logged: once, and not for ever."""
    with structlog.testing.capture_logs() as lines:
        async with worker("log_in_its_own_way") as bench:
            await bench.run()
    assert [line["event"] for line in lines if line.get("task_id")] == ["own: first", "second"]


async def test_chunks_come_in_order() -> None:
    """An async generator streams; its result is the list of its chunks, which the adapter makes."""
    async with worker("numbers") as bench:
        assert bench.agent.streams
        task = bench.give({"count": 300})
        assert await task.running == b""
    assert task.chunks == [str(number).encode() for number in range(300)]


async def test_a_generator_that_yields_nothing_gives_the_empty_list() -> None:
    """No chunk and no result is a list, not null."""
    async with worker("numbers") as bench:
        assert await bench.run({"count": 0}) == b""


async def test_a_plain_generator_streams_from_its_thread() -> None:
    """A sync generator is the same to its reader."""
    async with worker("letters") as bench:
        task = bench.give()
        assert await task.running == b""
    assert task.chunks == [b'"a"', b'"b"']


async def test_a_reader_who_lags_holds_up_his_own_task_alone(tmp_path: Path) -> None:
    """A stream that nobody reads is at most a window ahead, and others are served by the same process."""
    file = tmp_path / "sent"
    async with worker("numbers") as bench:
        slow = bench.give({"count": 100_000, "file": str(file)})
        slow.room.clear()
        quick = bench.give({"count": 1000})
        await quick.running
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow.running
    assert len(quick.chunks) == 1000
    assert len(slow.chunks) == 1
    assert int(file.read_text()) <= CHUNK_WINDOW + 1


async def test_progress_arrives_and_a_flood_of_it_is_thinned() -> None:
    """The last report always comes before the result; ten thousand in between are not sent one by one."""
    async with worker("step") as bench:
        task = bench.give()
        await task.running
    assert task.reported[-1].fraction == 1.0
    assert task.reported[-1].message == "step 10000"
    assert len(task.reported) < 5000


async def test_a_call_is_made_by_the_adapter() -> None:
    """The token of the manager stays where it is: the child asks, the adapter calls."""
    calls = Calls()
    async with worker("ask") as bench:
        assert await bench.run({}, calls=calls) == b'{"from":"other"}'
    assert calls.asked == [{"agent_id": "other", "parameters": {"n": 1}, "timeout": 9.5, "idempotency_key": "k"}]


async def test_a_call_from_a_thread_is_answered() -> None:
    """`call_sync` works in the child's threads."""
    async with worker("ask_in_thread") as bench:
        assert await bench.run() == b'{"from":"other"}'


async def test_a_call_that_fails_raises_the_same_error_in_the_child() -> None:
    """An AgentError crosses with all that is known."""
    members = {"code": "paused", "detail": "it is", "status": 409, "started": False, "outcome": None}

    def refuse(**_: object) -> None:
        raise AgentError("paused", "it is", status=409, started=False)

    async with worker("ask") as bench:
        assert msgspec.json.decode(await bench.run({"catch": True}, calls=Calls(refuse))) == members
        with pytest.raises(Problem, match="AgentError: paused: it is"):
            await bench.run({}, calls=Calls(refuse))


async def test_a_call_that_the_agent_gives_up_is_dropped_by_the_adapter() -> None:
    """The agent's own timeout ends the adapter's request too."""
    dropped = asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            dropped.set()

    async with worker("give_up") as bench:
        assert await bench.run({}, calls=Calls(lambda **_: never())) == b'"gave up"'
        await dropped.wait()


@pytest.mark.parametrize(
    ("entry_point", "reason"),
    [
        ("nowhere", "cannot load entry point isolated_agents:nowhere: AttributeError"),
        ("Broken", "cannot start isolated_agents:Broken: ConnectionError: no database"),
    ],
)
async def test_an_agent_that_cannot_start_says_why(entry_point: str, reason: str) -> None:
    """The start fails with the error of the import or of `start()`, not with an exit code."""
    bench = Bench(entry_point)
    with pytest.raises(StartFailed, match=reason):
        await bench.agent.start()
    await bench.agent.close()
    assert bench.restarts == 0


async def test_a_file_of_the_agents_does_not_stand_in_for_a_library(tmp_path: Path) -> None:
    """The working directory is first on the path of the agent's code, and not on that of the worker before it."""
    (tmp_path / "isolated_agents.py").write_text("import argparse\ndef which(_): return argparse.__file__")
    (tmp_path / "argparse.py").write_text("raise ImportError('this is the agent's own')")
    async with worker("which", directory=tmp_path) as bench:
        assert str(tmp_path) not in (await bench.run()).decode()
