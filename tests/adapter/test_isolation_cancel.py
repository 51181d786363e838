"""What a cancel does to an isolated agent: it is told, then it is ended, and others suffer as little as can be."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from agent_adapter.agents import command_agent
from agent_adapter.agents.json_lines import CHUNK_WINDOW
from agent_contract.problems import Problem

from tests.adapter.isolation import Bench, Calls, GivenTask, worker


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Give the event loop that the adapter runs on."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_agent, "_CANCEL_SECONDS", 0.3)


async def cancel(task: GivenTask) -> None:
    """Cancel a task that has begun, and wait until the child is rid of it."""
    await task.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task.running


async def pid(bench: Bench) -> int:
    """Give the id of the process that takes the next task."""
    return int(await bench.run())


@pytest.mark.parametrize(("entry_point", "word"), [("wait", "cancelled"), ("watch", "saw it")])
async def test_code_that_looks_is_cancelled_in_order(entry_point: str, word: str, tmp_path: Path) -> None:
    """Async code gets a CancelledError, a thread sees `context.cancelled`, and the process lives on."""
    async with worker(entry_point) as bench:
        await cancel(bench.give({"file": str(tmp_path / "word")}))
        assert (tmp_path / "word").read_text() == word
    assert bench.restarts == 0


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize(("entry_point", "how"), [("stay", {"forever": True}), ("hold", {"seconds": 60})])
async def test_code_that_does_not_look_is_ended_with_its_process(entry_point: str, how: dict[str, int]) -> None:
    """A thread that never returns, or holds the interpreter, does not outlive its task by more than the patience."""
    async with worker(entry_point) as bench:
        before = await pid(bench)
        await cancel(bench.give(how))
        assert await pid(bench) != before
        assert bench.restarts == 1
        assert bench.agent.problem is None


@pytest.mark.usefixtures("_impatient")
async def test_a_task_that_comes_during_a_cancel_is_not_lost_with_the_process() -> None:
    """It waits until the cancelled one has ended: the process that is ended never had it."""
    async with worker("stay") as bench:
        stubborn = bench.give({"forever": True})
        await stubborn.begun.wait()
        stubborn.cancel()
        next_one = bench.give()
        assert int(await next_one.running) > 0
        assert bench.restarts == 1


@pytest.mark.usefixtures("_impatient")
async def test_ending_a_stubborn_task_is_no_crash() -> None:
    """Four of them in a row do not make the agent count as one that crashes."""
    async with worker("stay") as bench:
        for _ in range(4):
            await cancel(bench.give({"forever": True}))
        assert await pid(bench) > 0


@pytest.mark.usefixtures("_impatient")
async def test_a_stubborn_thread_beside_others_is_left_to_itself() -> None:
    """The process is not ended where another task would go with it."""
    async with worker("stay") as bench:
        before = await pid(bench)
        other, stubborn = bench.give({"forever": True}), bench.give({"forever": True})
        await other.begun.wait()
        await cancel(stubborn)
        assert await pid(bench) == before
        assert not other.running.done()
        await cancel(other)
        assert await pid(bench) != before


@pytest.mark.usefixtures("_impatient")
async def test_a_cancel_ends_the_calls_of_the_task() -> None:
    """A thread that waits for another agent is not kept waiting, and the adapter lets the request go."""
    asked, dropped = asyncio.Event(), asyncio.Event()

    async def never() -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            dropped.set()

    async with worker("ask_in_thread") as bench:
        task = bench.give({}, calls=Calls(lambda **_: never()))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task.running
        await dropped.wait()
        await bench.run()
        assert bench.restarts == 0


@pytest.mark.usefixtures("_impatient")
async def test_a_task_that_is_cancelled_before_its_first_step_ends_too(tmp_path: Path) -> None:
    """Task and cancel reach the child in one read: here because it sleeps while both are written."""
    async with worker("wait") as bench:
        before = bench.pid
        os.kill(before, signal.SIGSTOP)
        task = bench.give({"file": str(tmp_path / "word")})
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        os.kill(before, signal.SIGCONT)
        with pytest.raises(asyncio.CancelledError):
            await task.running
        await cancel(bench.give({"file": str(tmp_path / "word")}))
        assert bench.pid == before


async def test_chunks_that_the_adapter_refuses_end_the_task_in_the_child(tmp_path: Path) -> None:
    """When their list is too large the child is told to stop, and the caller hears why."""
    async with worker("numbers") as bench:
        task = bench.give({"count": 1_000_000_000, "file": str(tmp_path / "sent")})
        task.refusal = Problem("result-too-large", "enough")
        with pytest.raises(Problem, match="enough"):
            await task.running
        assert int((tmp_path / "sent").read_text()) <= CHUNK_WINDOW + 1
    assert bench.restarts == 0
