"""The child process of any agent, in any language: what it may do wrong, and that no task is lost to it."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
from agent_adapter.agents.child import Launch
from agent_adapter.agents.child_lines import Line, read_lines
from agent_adapter.agents.command_agent import CommandAgent
from agent_adapter.agents.context import Context, Ports
from agent_adapter.errors import Rejected, StartFailed
from agent_contract.problems import Problem

PREAMBLE = """
import json, os, signal, sys
def say(**members): print(json.dumps(members), flush=True)
def tasks():
    for line in sys.stdin:
        asked = json.loads(line)
        yield asked["taskId"], asked.get("parameters")
"""


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Give both event loops: each has its own way with pipes and processes."""
    return "asyncio", {"use_uvloop": request.param}


@asynccontextmanager
async def command(script: str) -> AsyncIterator[CommandAgent]:
    """Give an agent whose child runs this script, and close it."""
    launch = Launch([sys.executable, "-c", PREAMBLE + script], dict(os.environ), "command 'script'")
    agent = CommandAgent(launch, on_change=lambda: None, on_restart=lambda: None)
    await agent.start()
    try:
        yield agent
    finally:
        await agent.close()


async def run(agent: CommandAgent, task_id: str = "task-1", **parameters: object) -> bytes:
    """Give the result of a task as JSON text, its chunks before it."""
    ports = Ports(report=lambda _: None, call=_no_call, loop=asyncio.get_running_loop())
    context = Context(task_id, ports, deadline=None, streaming=False)
    chunks = []

    async def emit(chunk: bytes) -> None:
        chunks.append(chunk)

    result = await agent.run(parameters, context, emit)
    return result or b"[" + b",".join(chunks) + b"]"


async def _no_call(*_: object, **__: object) -> None:
    raise NotImplementedError


async def test_a_result_is_passed_on_as_it_was_written() -> None:
    """Numbers keep their digits: the adapter does not read what it relays."""
    async with command(
        """for task, _ in tasks(): print('{"taskId": "%s", "result": 1.10e2}' % task, flush=True)"""
    ) as agent:
        assert await run(agent) == b"1.10e2"


async def test_chunks_before_a_null_are_the_result() -> None:
    """A child that streamed ends with null, or with a result of its own."""
    script = """
for task, own in tasks():
    say(taskId=task, chunk=1)
    say(taskId=task, chunk=None)
    say(taskId=task, result=own.get("own"))
"""
    async with command(script) as agent:
        assert await run(agent) == b"[1,null]"
        assert await run(agent, own="mine") == b'"mine"'


@pytest.mark.parametrize(
    ("error", "detail"),
    [("'no luck'", "no luck"), ("{'type': 'IOError', 'message': 'gone'}", "IOError: gone"), ("{'type': 'A'}", "A")],
)
async def test_an_error_is_a_text_or_a_type_with_a_message(error: str, detail: str) -> None:
    """Either is 500 `agent-failed`."""
    async with command(f"for task, _ in tasks(): say(taskId=task, error={error}, result=None)") as agent:
        with pytest.raises(Problem) as caught:
            await run(agent)
    assert (caught.value.code, caught.value.detail) == ("agent-failed", detail)


async def test_bad_parameters_are_the_callers_mistake() -> None:
    """The type says so."""
    error = {"type": "BadParameters", "message": "no", "field": "parameters.a"}
    script = f"for task, _ in tasks(): say(taskId=task, error={error})"
    async with command(script) as agent:
        with pytest.raises(Rejected) as caught:
            await run(agent)
    assert caught.value.field == "parameters.a"


async def test_a_line_that_is_no_json_fails_the_task_that_it_names() -> None:
    """Its result will not come again: the caller must not wait for it until his timeout."""
    async with command("for task, _ in tasks(): print('{taskId: %s, result: 1}' % task, flush=True)") as agent:
        with pytest.raises(Problem, match="cannot read the agent's answer"):
            await run(agent)


async def test_a_line_that_is_too_long_fails_the_task_that_it_names() -> None:
    """Wherever in the line the name stands; the next line is read as usual."""
    script = """
for task, parameters in tasks():
    if parameters["first"]: say(taskId=task, result="x" * 17_000_000)
    elif parameters["last"]: say(result="x" * 17_000_000, taskId=task)
    else: say(taskId=task, result="short")
"""
    async with command(script) as agent:
        for where in ("first", "last"):
            with pytest.raises(Problem) as caught:
                await run(agent, first=where == "first", last=where == "last")
            assert caught.value.code == "result-too-large"
        assert await run(agent, first=False, last=False) == b'"short"'


async def test_a_result_over_the_limit_is_refused_though_its_line_is_not() -> None:
    """The limit is 10 MiB of result, whoever made it."""
    async with command("for task, _ in tasks(): say(taskId=task, result='x' * 11_000_000)") as agent:
        with pytest.raises(Problem) as caught:
            await run(agent)
    assert caught.value.code == "result-too-large"


async def test_noise_on_stdout_is_logged_and_harms_nobody() -> None:
    """A banner, an empty line, a word on a task that nobody knows."""
    script = """
print("welcome")
print()
say(taskId="other", result=1)
sys.stdout.buffer.write(bytes([255, 10]))
for task, _ in tasks(): say(taskId=task, result=2)
"""
    with structlog.testing.capture_logs() as lines:
        async with command(script) as agent:
            assert await run(agent) == b"2"
    assert "welcome" in [line.get("line") for line in lines]


async def test_stderr_is_logged_also_the_last_words() -> None:
    """What a child says as it dies is what the operator needs."""
    script = (
        "for _ in tasks(): sys.stderr.write('all is lost'); sys.stderr.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    with structlog.testing.capture_logs() as lines:
        async with command(script) as agent:
            with pytest.raises(Problem):
                await run(agent)
            assert agent.problem is not None
            assert agent.problem.detail == "the command 'script' was ended by SIGKILL"
    assert "all is lost" in [line["event"] for line in lines]


async def test_a_child_that_listens_to_nothing_is_killed() -> None:
    """Neither the end of stdin nor SIGTERM moves it: SIGKILL does, within two seconds of the close."""
    script = "signal.signal(signal.SIGTERM, signal.SIG_IGN); say(taskId='')\nwhile True: signal.pause()"
    async with command(script) as agent:
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert agent.problem is None


async def test_a_program_that_is_not_there_is_named() -> None:
    """The start fails with the operating system's reason."""
    agent = CommandAgent(
        Launch(["/no/such/program"], {}, "command '/no/such/program'"), on_change=lambda: None, on_restart=lambda: None
    )
    with pytest.raises(StartFailed, match="cannot start command '/no/such/program': No such file"):
        await agent.start()
    await agent.close()


async def test_lines_are_cut_but_never_joined() -> None:
    """A reader sees each line whole, or both ends of one that is too long, or what stood before the end."""
    stream = asyncio.StreamReader()
    stream.feed_data(b"one\n\n" + b"a" * 6000 + b"b" * 6000 + b"\ntwo\nrest")
    stream.feed_eof()
    lines = [line async for line in read_lines(stream, 10_000)]
    assert lines[0::3] == [Line(b"one", whole=True), Line(b"two", whole=True)]
    assert lines[1] == Line(b"", whole=True)
    assert lines[2] == Line(b"a" * 4096 + b" ... " + b"b" * 4096, whole=False)
    assert lines[4] == Line(b"rest", whole=True)
