"""A child that dies: its tasks fail, the next one comes, and nothing of it is left behind."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from agent_adapter.agents.child_guard import ChildGuard
from agent_contract.problems import Problem

from tests.adapter.isolation import ends_within, worker


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Give both event loops: they notice the end of a process each in their own way."""
    return "asyncio", {"use_uvloop": request.param}


async def test_a_crash_fails_the_task_and_the_next_finds_a_new_process() -> None:
    """The caller gets 500 `agent-crashed`; the agent is started again and says so."""
    async with worker("fail") as bench:
        with pytest.raises(Problem) as caught:
            await bench.run({"way": "die"})
        assert (caught.value.code, caught.value.status) == ("agent-crashed", 500)
        assert caught.value.extra["started"] is True
        assert bench.agent.problem is not None
        assert bench.agent.problem.detail == "the process of isolated_agents:fail exited with 7"
        assert await bench.run({"way": "none"}) == b"null"
        assert bench.restarts == 1
        assert bench.agent.problem is None


async def test_a_crash_fails_every_task_in_the_process() -> None:
    """Isolation is between adapter and agent, not between tasks: they share the process."""
    async with worker("fail") as bench:
        neighbour = bench.give({"way": "stay"})
        await neighbour.begun.wait()
        with pytest.raises(Problem):
            await bench.run({"way": "die"})
        with pytest.raises(Problem, match="ended before it answered"):
            await neighbour.running


async def test_three_crashes_in_a_minute_answer_calls_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the next child is there a call gets 503 `agent-crashed` instead of a wait, and nothing began."""
    monkeypatch.setattr("random.uniform", lambda _, longest: 0 if longest < 0.5 else 60)
    async with worker("fail") as bench:
        for _ in range(3):
            with pytest.raises(Problem):
                await bench.run({"way": "die"})
        with pytest.raises(Problem) as caught:
            await bench.run({"way": "none"})
    assert (caught.value.code, caught.value.status) == ("agent-crashed", 503)
    assert caught.value.extra["started"] is False


async def test_a_program_that_the_agent_left_behind_goes_with_it(tmp_path: Path) -> None:
    """It holds the output open, which must not hide the crash; and it must not run on for nobody."""
    async with worker("leave_a_child") as bench:
        with pytest.raises(Problem) as caught:
            await bench.run({"file": str(tmp_path / "pid")})
    assert caught.value.code == "agent-crashed"
    assert ends_within(left_behind(tmp_path), 5)


async def test_a_program_that_escapes_does_not_hide_the_crash(tmp_path: Path) -> None:
    """In a session of its own it lives on with the child's output open: the tasks fail all the same."""
    async with worker("leave_a_child") as bench:
        with pytest.raises(Problem, match="ended before it answered"):
            await bench.run({"file": str(tmp_path / "pid"), "escape": True})
    os.kill(left_behind(tmp_path), signal.SIGKILL)


async def test_close_ends_a_child_that_holds_its_interpreter() -> None:
    """SIGTERM reaches a process that cannot run Python: its handler is the kernel's."""
    async with worker("hold") as bench:
        task = bench.give({"seconds": 60})
        await task.begun.wait()
    with pytest.raises(Problem):
        await task.running


async def test_a_guard_ends_its_group_only_when_nobody_released_it() -> None:
    """A released one must not: the number of the group may be another's by then."""
    async with programs() as (spared, ended):
        guard = await ChildGuard.over(spared.pid)
        await guard.release()
        lost = await ChildGuard.over(ended.pid)
        assert lost._shell is not None
        assert lost._shell.stdin is not None
        lost._shell.stdin.close()  # what the system does when the adapter is killed
        assert await ended.wait() == -signal.SIGTERM
        assert spared.returncode is None
        await lost._shell.wait()


@asynccontextmanager
async def programs() -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.subprocess.Process]]:
    """Give two programs, each in a group of its own."""
    one, two = [await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True) for _ in range(2)]
    try:
        yield one, two
    finally:
        for program in (one, two):
            if program.returncode is None:
                program.kill()
            await program.wait()


def left_behind(folder: Path) -> int:
    """Give the id of the program that the agent started."""
    return int((folder / "pid").read_text())
