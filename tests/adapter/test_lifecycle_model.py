"""A model of lifecycle and task table: whatever comes in whatever order, each task has one end and nothing leaks.

Time is moved by hand; the rules play the callers, the operator, the platform's signals and the agent's code. The model
keeps its own account of what was taken and what ended, and after each step it is compared with what the table says.
"""

from collections.abc import Callable
from typing import Any

import pytest
from agent_adapter.drain import DrainLimits
from agent_adapter.tasks import Key, Task
from agent_contract.problems import Problem
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.adapter.hand_clock import HandClock
from tests.adapter.model_account import Account, steps_done

EXAMPLES, STEPS = 520, 50
"""Over 20,000 steps in all: hypothesis makes nearly every example as long as it may be."""
SETTLED = 6
"""Moves before a life may be told to leave: most of the account is made while it runs."""
REFUSALS = {"paused": 409, "stopping": 409, "starting": 503, "at-capacity": 503}


def answer_of(call: Callable[[], Any]) -> tuple[Any, Problem | None]:
    """Give what a call gives, or the problem that it raises."""
    try:
        return call(), None
    except Problem as problem:
        return None, problem


class AdapterModel(Account):
    """Callers, operator, platform and agent, and what must hold of them all."""

    @initialize(
        concurrency=st.integers(1, 3),
        queue=st.integers(0, 4),
        quiet=st.sampled_from([0.0, 3.0]),
        grace=st.sampled_from([None, 2.0, 20.0]),
    )
    def begin(self, concurrency: int, queue: int, quiet: float, grace: float | None) -> None:
        """Choose the settings and begin a life."""
        self.clock = HandClock(0.0)
        self.concurrency, self.queue = concurrency, queue
        self.limits = DrainLimits(30.0, quiet, grace)
        self.live(up=True)

    # --- what happens ---

    @rule()
    @precondition(lambda self: self.lifecycle.state == "starting")
    def come_up(self) -> None:
        """Begin to run."""
        self.lifecycle.come_up()

    @rule(up=st.sampled_from([True, True, False]))
    @precondition(lambda self: self.over)
    def next_life(self, *, up: bool) -> None:
        """Begin the next process, when this one has gone."""
        self.balance()
        self.live(up=up)

    @rule(awaited=st.lists(st.booleans(), min_size=1, max_size=4))
    def burst(self, awaited: list[bool]) -> None:
        """Call several times at once."""
        for each in awaited:
            self.call(awaited=each, key=None)

    @rule(awaited=st.booleans(), key=st.sampled_from([None, "k", "l"]))
    def one_call(self, *, awaited: bool, key: str | None) -> None:
        """Call once."""
        self.call(awaited=awaited, key=key)

    def call(self, *, awaited: bool, key: str | None) -> None:
        """Call, and compare what comes with what should."""
        task = Task(str(len(self.taken)), {}, self.clock(), awaited=awaited, key=key and Key(key, b""))  # type: ignore[arg-type]  # None or a Key
        known = self.table.find_key(task.key) if task.key else None
        took_work, room = self.lifecycle.takes_work, self.has_room()
        given, problem = answer_of(lambda: self.execution.submit(task))
        if problem is not None:
            assert problem.code == "key-in-use" or problem.status == REFUSALS[problem.code]
            assert (problem.code == "key-in-use") == (known is not None and known.outcome is None)
            assert known or not took_work or (problem.code == "at-capacity" and not room)
            assert task.outcome is None
            return
        assert given is (known or task)
        if known is None:
            assert took_work
            assert room
            self.taken.append(task)

    @rule(data=st.data(), outcome=st.sampled_from(["succeeded", "failed", "rejected", "timeout"]))
    @precondition(lambda self: self.table.running)
    def code_ends(self, data: st.DataObject, outcome: Any) -> None:
        """End a task by its own code, or for its own timeout."""
        task = self.table.running[data.draw(st.sampled_from(sorted(self.table.running)))]
        assert self.table.end(task, outcome, result=b"1" if outcome == "succeeded" else None)
        assert not self.table.end(task, "failed")

    @rule(data=st.data())
    @precondition(lambda self: self.taken)
    def cancel(self, data: st.DataObject) -> None:
        """Cancel a task, whatever became of it."""
        task = data.draw(st.sampled_from(self.taken[-8:]))
        before = task.outcome
        _, problem = answer_of(lambda: self.execution.cancel(task.task_id))
        if problem is not None:
            assert before is not None
            assert problem.code in ("already-ended", "unknown-task")
        else:
            assert (before, task.outcome) == (None, "cancelled")

    @rule(action=st.sampled_from(["pause", "resume"]))
    def pause_or_resume(self, action: Any) -> None:
        """Pause or resume: refused during a drain, and then nothing changes."""
        state = self.lifecycle.state
        _, problem = answer_of(lambda: self.lifecycle.act(action))
        if problem is not None:
            assert (problem.code, state, self.lifecycle.state) == ("stopping", "stopping", "stopping")
        else:
            assert state != "stopping"
            assert self.lifecycle.state in ("starting", "paused" if action == "pause" else "running")

    @precondition(lambda self: self.moves > SETTLED)
    @rule(action=st.sampled_from(["stop", "restart"]), timeout=st.sampled_from([None, 0.0, 5.0, 100.0]))
    def order_to_leave(self, action: Any, timeout: float | None) -> None:
        """Stop or restart it."""
        before = self.lifecycle.drain
        self.lifecycle.act(action, timeout)
        drain = self.lifecycle.drain
        assert drain is not None
        if before is None:
            assert drain.reason == action
        elif action == "stop" or not before.restarts:
            assert not drain.restarts
        if timeout is None and before is not None:
            assert drain.deadline == before.deadline

    @precondition(lambda self: self.moves > SETTLED)
    @rule()
    def signal(self) -> None:
        """Send a signal."""
        before = self.lifecycle.drain
        self.lifecycle.leave("signal")
        drain = self.lifecycle.drain
        assert drain is not None
        if self.signalled_at is None and not self.over:
            self.signalled_at = self.clock()
            assert drain.deadline <= self.clock() + self.limits.timeout_seconds
        if before is not None:
            assert drain.deadline <= before.deadline
            assert before.signalled_at is None or drain == before
        assert drain.reason == "signal" or (before is not None and self.over)

    @rule(seconds=st.sampled_from([0.0, 2.0, 50.0]))
    def reschedule(self, seconds: float) -> None:
        """Move the deadline."""
        _, problem = answer_of(lambda: self.lifecycle.reschedule(seconds))
        if problem is not None:
            assert problem.code == ("over-grace" if self.lifecycle.drain and not self.over else "not-draining")
        else:
            assert self.lifecycle.drain is not None
            assert self.lifecycle.drain.deadline == self.clock() + seconds

    @rule()
    def call_off(self) -> None:
        """Call the drain off."""
        drain = self.lifecycle.drain
        _, problem = answer_of(self.lifecycle.call_off)
        if problem is not None:
            assert (problem.code == "signalled") == (drain is not None and not self.over)
            assert problem.code in ("signalled", "not-draining")
        else:
            assert drain is not None
            assert drain.signalled_at is None
            assert self.lifecycle.state in ("starting", "running", "paused")

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0, 30.0]))
    def time_goes_on(self, seconds: float) -> None:
        """Let time go on."""
        self.wait(seconds)


@pytest.mark.timeout(120)
def test_the_model_holds() -> None:
    """Over 20,000 steps of callers, orders, signals and time, and the account is balanced after each."""
    steps_done.clear()
    profile = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, derandomize=True)
    run_state_machine_as_test(AdapterModel, settings=profile)
    assert steps_done["steps"] >= 20_000  # about 21,500: what a seed gives moves a little with the code under test
    assert min(steps_done[state] for state in ("running", "paused", "stopping", "waiting")) >= 500, steps_done
