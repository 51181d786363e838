"""Python entry points: what they may be, how they are called, what becomes of one that cannot be loaded."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from agent_adapter.agents.context import Context, Ports
from agent_adapter.agents.python_agent import PythonAgent
from agent_adapter.errors import StartFailed
from agent_contract.problems import Problem

from tests.adapter import python_agents

Load = Callable[..., Awaitable[PythonAgent]]
MODULE = "tests.adapter.python_agents"


@pytest.fixture
async def load() -> AsyncIterator[Load]:
    """Give a starter of agents; they are closed after the test."""
    python_agents.log.clear()
    async with AsyncExitStack() as stack:

        async def run(name: str, **options: Any) -> PythonAgent:
            return await stack.enter_async_context(started(f"{MODULE}:{name}", **options))

        yield run


@asynccontextmanager
async def started(entry_point: str, **options: Any) -> AsyncIterator[PythonAgent]:
    """Give a started agent."""
    agent = PythonAgent(entry_point, **{"threads": 2, **options})
    await agent.start()
    try:
        yield agent
    finally:
        await agent.close()


def context() -> Context:
    """Give a task's context."""
    ports = Ports(report=lambda _: None, call=None, loop=asyncio.get_running_loop())  # type: ignore[arg-type]  # nobody calls
    return Context("t1", ports, deadline=None, streaming=False)


async def run(agent: PythonAgent, parameters: dict[str, Any] | None = None) -> tuple[Any, list[Any]]:
    """Give result and chunks of one task."""
    chunks: list[Any] = []

    async def emit(chunk: bytes) -> None:
        chunks.append(msgspec.json.decode(chunk))

    result = await agent.run(agent.accept(parameters or {"a": 1}), context(), emit)
    return (msgspec.json.decode(result) if result else None), chunks


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one", [{"a": 1}, "agent"]),
        ("two", [{"a": 1}, "t1"]),
        ("any_number", 2),
        ("one_async", [{"a": 1}, True]),
        ("two_async", [{"a": 1}, "t1"]),
        ("gives_coroutine", [{"a": 1}, True]),
        ("instance", {"a": 1}),
        ("Whole", [{"a": 1}, "t1"]),
        ("WholeAsync", {"a": 1}),
    ],
)
async def test_an_entry_point_is_called_as_it_is_written(load: Load, name: str, expected: Any) -> None:
    """Sync in a thread, async on the event loop; with one argument, or with the context too."""
    assert await run(await load(name)) == (expected, [])


@pytest.mark.parametrize(
    ("name", "chunks"), [("Bare", [{"a": 1}]), ("Holder.Inner", [{"a": 1}]), ("hidden_generator", [1, 2])]
)
async def test_a_generator_yields_chunks(load: Load, name: str, chunks: list[Any]) -> None:
    """Its result is left to whoever gathers them; a decorator does not hide it, a dotted name is followed."""
    assert await run(await load(name)) == (None, chunks)


@pytest.mark.parametrize("name", ["Whole", "WholeAsync"])
async def test_a_class_is_made_started_and_closed_once(name: str) -> None:
    """Sync methods and async ones alike."""
    python_agents.log.clear()
    async with started(f"{MODULE}:{name}") as agent:
        await run(agent)
        await run(agent)
    assert [step for step in python_agents.log if step != "init"] == ["start", "close"]


@pytest.mark.parametrize(
    ("entry_point", "reason"),
    [
        ("no.such.module:run", "ModuleNotFoundError: No module named 'no'"),
        (f"{MODULE}:nothing", "AttributeError: module 'tests.adapter.python_agents' has no attribute 'nothing'"),
        (f"{MODULE}:answer", "TypeError: a int is not callable"),
        (f"{MODULE}:InitRaises", "KeyError: 'API_KEY'"),
        (f"{MODULE}:NoExecute", "AttributeError: 'NoExecute' object has no attribute 'execute'"),
    ],
)
async def test_what_cannot_be_loaded_says_why(entry_point: str, reason: str) -> None:
    """The type and the message of what it raised."""
    with pytest.raises(StartFailed) as caught:
        await PythonAgent(entry_point, threads=1).start()
    assert str(caught.value).startswith(f"cannot load entry point {entry_point}: {reason}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def run(:", "SyntaxError: "),
        ("raise SystemExit(7)", "SystemExit: 7"),
        ("import gone", "ModuleNotFoundError: "),
    ],
)
async def test_a_module_may_raise_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    """Also what would end the process."""
    name = f"broken_{abs(hash(text))}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(StartFailed, match=reason):
        await PythonAgent(f"{name}:run", threads=1).start()


@pytest.mark.parametrize(
    ("name", "reason"), [("StartRaises", "ConnectionError: no database"), ("StartExits", "SystemExit: 3")]
)
async def test_a_start_that_raises_says_why(name: str, reason: str) -> None:
    """And what never started is not closed."""
    python_agents.log.clear()
    agent = PythonAgent(f"{MODULE}:{name}", threads=1)
    with pytest.raises(StartFailed, match=reason):
        await agent.start()
    await agent.close()
    assert python_agents.log == []


async def test_a_close_that_raises_is_an_ordinary_error() -> None:
    """A SystemExit there must not decide the process's exit code."""
    agent = PythonAgent(f"{MODULE}:CloseRaises", threads=1)
    await agent.start()
    with pytest.raises(StartFailed, match=r"cannot close .*: SystemExit: 4"):
        await agent.close()


async def test_async_code_is_cancelled_with_its_task(load: Load) -> None:
    """Its `finally` runs at once."""
    task = asyncio.create_task(run(await load("wait_for_ever")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert python_agents.log == ["cancelled"]


async def test_the_configurations_schema_wins(load: Load) -> None:
    """Over the annotation; the parameters then come as they are."""
    schema = {"type": "object", "required": ["b"]}
    agent = await load("one", schema=schema)
    assert agent.parameters_schema == schema


async def test_a_result_without_a_json_form_is_said_in_words(load: Load) -> None:
    """The problem of `encode`."""
    agent = await load("one")
    agent._function = lambda _: object()
    with pytest.raises(Problem, match="cannot encode"):
        await run(agent)


async def test_threads_end_with_the_agent() -> None:
    """None is left to hold the process."""
    before = set(threading.enumerate())
    async with started(f"{MODULE}:one") as agent:
        await run(agent)
        ours = set(threading.enumerate()) - before
        assert ours
    for thread in ours:
        thread.join(5)
        assert not thread.is_alive()
