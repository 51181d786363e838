"""The account that the model of lifecycle and task table keeps, and what must hold of it after each step."""

from collections import Counter
from typing import Any

from agent_adapter.admission import TaskTable
from agent_adapter.drain import LEAVING_SECONDS, DrainLimits
from agent_adapter.execution import Execution
from agent_adapter.lifecycle import Lifecycle
from agent_adapter.tasks import Task
from hypothesis.stateful import RuleBasedStateMachine, invariant

from tests.adapter.hand_clock import HandClock

steps_done = Counter[str]()
"""How many steps there were, and in which state."""


class AnyAgent:
    """An agent that takes every parameter; its code is played by the rules."""

    def accept(self, parameters: dict[str, Any]) -> Any:
        """Take them."""
        return parameters


class Account(RuleBasedStateMachine):
    """One instance after the other, each with what it took and what ended; the rules are added by its heir."""

    clock: HandClock
    limits: DrainLimits
    concurrency: int
    queue: int

    def live(self, *, up: bool) -> None:
        """Begin a life."""
        self.lifecycle = Lifecycle(self.clock, self.limits, self.follow)
        self.table = TaskTable(self.clock, self.concurrency, self.queue, lambda: None)
        self.table.on_end.append(self.has_ended)
        self.execution = Execution(
            self.table,
            self.lifecycle,
            AnyAgent(),  # type: ignore[arg-type]  # only this of it is asked
            clock=self.clock,
            spawn=lambda coroutine: coroutine.close(),
            caller_of=None,  # type: ignore[arg-type]  # no code runs that could call
            task_timeout_seconds=None,
            invocation=lambda span: span,
        )
        self.taken: list[Task] = []
        self.ended: Counter[str] = Counter()
        self.signalled_at: float | None = None
        self.over = False
        self.moves = 0
        if up:
            self.lifecycle.come_up()

    def follow(self) -> None:
        """Do what the supervisor does on each change."""
        if hasattr(self, "execution"):
            self.execution.follow_lifecycle()

    def has_ended(self, task: Task) -> None:
        """Count an end."""
        self.ended[task.task_id] += 1

    def look(self) -> None:
        """Do what the supervisor does when it wakes: see whether the drain is over."""
        drain = self.lifecycle.drain
        if drain is None or self.over:
            return
        self.execution.follow_lifecycle()
        if self.clock() >= drain.deadline:
            self.execution.cut_all()
        if self.table.idle and self.clock() >= drain.quiet_until:
            self.over = True
            self.lifecycle.begin_leaving()

    def wait(self, seconds: float) -> None:
        """Let time go on; the supervisor wakes at each moment that it waits for."""
        until = self.clock() + seconds
        drain = self.lifecycle.drain
        for moment in sorted((drain.quiet_until, drain.deadline) if drain else ()):
            if self.clock() < moment <= until:
                self.clock.now = moment
                self.look()
        self.clock.now = until
        self.look()

    # --- what must hold ---

    def has_room(self) -> bool:
        """Whether one more task may be taken."""
        table = self.table
        starts = len(table.running) < table.max_concurrency and not table.queue and not table.held
        return starts or len(table.queue) < table.max_queue

    @invariant()
    def each_task_has_one_end(self) -> None:
        """In hand without an outcome, or ended exactly once: never both, never neither."""
        steps_done["steps"] += 1
        steps_done[self.lifecycle.state] += 1
        steps_done["waiting"] += len(self.table.queue) > 1
        self.moves += 1
        in_hand = list(self.table.in_hand())
        assert len(in_hand) == len(set(in_hand))
        for task in self.taken:
            assert (task in in_hand) == (task.outcome is None)
            assert self.ended[task.task_id] == (task.outcome is not None)
            assert task.done.is_set() == (task.outcome is not None)

    @invariant()
    def the_table_keeps_its_bounds(self) -> None:
        """Never more than may run or wait; what waits does so for a reason."""
        table = self.table
        assert len(table.running) <= table.max_concurrency
        assert len(table.queue) <= table.max_queue
        assert not table.queue or table.held or len(table.running) == table.max_concurrency
        assert table.held == (self.lifecycle.paused and (self.lifecycle.drain is None or self.quiet()))

    def quiet(self) -> bool:
        """Whether a signal's quiet period lasts."""
        drain = self.lifecycle.drain
        return drain is not None and self.clock() < drain.quiet_until

    @invariant()
    def tasks_begin_in_order_of_arrival(self) -> None:
        """Nobody overtakes: those that have begun are the first that came, but for those that ended waiting."""
        began = [task.started_at is not None for task in self.taken if task.started_at is not None or not task.outcome]
        assert began == sorted(began, reverse=True)
        assert list(self.table.queue.values()) == [task for task in self.taken if task.state == "queued"]

    @invariant()
    def a_drain_leaves_nobody_waiting_in_vain(self) -> None:
        """From the order on (after the quiet period) no caller waits in the queue, and nothing new is taken."""
        if self.lifecycle.drain is not None and not self.quiet():
            assert not any(task.awaited for task in self.table.queue.values())
            assert not self.lifecycle.takes_work

    @invariant()
    def the_deadline_is_kept(self) -> None:
        """No task is in hand behind it, and after a signal it leaves what the platform's grace must leave."""
        drain = self.lifecycle.drain
        if drain is None:
            return
        if self.signalled_at is not None and self.limits.grace_seconds is not None:
            assert drain.deadline <= self.signalled_at + max(0.0, self.limits.grace_seconds - LEAVING_SECONDS)
        assert drain.quiet_until <= max(drain.deadline, drain.since)

    @invariant()
    def it_leaves_only_when_idle(self) -> None:
        """Pass the point of no return with nothing in hand."""
        if self.over:
            assert self.table.idle
            assert self.lifecycle.state == "stopping"

    def balance(self) -> None:
        """Everything that was taken has had its one end, and nothing is left behind."""
        assert self.over
        assert self.table.idle
        assert self.ended == Counter({task.task_id: 1 for task in self.taken})
        assert not self.table._by_key

    def teardown(self) -> None:
        """Drain to the end."""
        if hasattr(self, "lifecycle"):
            self.lifecycle.act("stop", 0)
            self.wait(31.0)
            self.balance()
