"""The task table: which tasks run, which wait, which ended; who is admitted and who is refused.

Everything that runs is here, whatever way it came in, so what holds a drain can be seen in one place.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator

from agent_contract.problems import Problem, refusal

from agent_adapter.ended import EndedTasks
from agent_adapter.history import DurationHistory
from agent_adapter.tasks import Key, Outcome, Task


class TaskTable:
    """The tasks in hand, at most `max_concurrency` of them running and `max_queue` waiting, in order of arrival."""

    def __init__(
        self, clock: Callable[[], float], max_concurrency: int, max_queue: int, on_change: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._on_change = on_change
        self.max_concurrency = max_concurrency
        self.max_queue = max_queue
        self.running: dict[str, Task] = {}
        self.queue: OrderedDict[str, Task] = OrderedDict()
        self._by_key: dict[str, Task] = {}
        self.ended = EndedTasks(clock)
        self.history = DurationHistory()
        self.on_end: list[Callable[[Task], None]] = []
        self.held = False

    @property
    def idle(self) -> bool:
        """Whether no task runs or waits."""
        return not self.running and not self.queue

    @property
    def oldest_running(self) -> str | None:
        """The id of the task that has run longest, or None."""
        return next(iter(self.running), None)

    def find(self, task_id: str) -> Task | None:
        """Give the task of this id: in hand, or ended within the hour."""
        return self.running.get(task_id) or self.queue.get(task_id) or self.ended.find(task_id)

    def find_key(self, key: Key) -> Task | None:
        """Give the task that this idempotency key began: in hand, or ended within the hour."""
        return self._by_key.get(key.text) or self.ended.find_key(key)

    def in_hand(self) -> Iterator[Task]:
        """Give the running tasks, oldest first, then the waiting ones in order."""
        yield from self.running.values()
        yield from self.queue.values()

    def admit(self, task: Task) -> None:
        """Start the task or let it wait; its `turn` is set when it may run.

        Raises:
            Problem: 503 `at-capacity`, with the estimated seconds until a place is free as `Retry-After`.

        """
        if not self.held and len(self.running) < self.max_concurrency and not self.queue:
            self._start(task)
        elif len(self.queue) < self.max_queue:
            task.turn = asyncio.Event()
            self.queue[task.task_id] = task
        else:
            raise refusal(
                "at-capacity",
                f"cannot take the task: {len(self.running)} run and {len(self.queue)} wait, as many as may",
                retry_after_seconds=self.retry_after_seconds(),
            )
        if task.key is not None:
            self._by_key[task.key.text] = task
        self._on_change()

    def end(self, task: Task, outcome: Outcome, *, result: bytes | None = None, problem: Problem | None = None) -> bool:
        """Take the task off the table with its one outcome; False, and nothing changes, if it had one already.

        One that was refused leaves no trace, and one that was cut before it began leaves its idempotency key free:
        nothing was done under it, so whoever sends it again is served.
        """
        if task.outcome is not None:
            return False
        if self.running.pop(task.task_id, None) is None:
            del self.queue[task.task_id]
        task.outcome, task.result, task.problem = outcome, result, problem
        task.ended_at = self._clock()
        task.parameters = task.emit = task.on_cancel = None
        self._release_key(task)
        if outcome == "succeeded":
            self.history.add(task.duration_seconds)
        if outcome != "refused":
            self.ended.add(task)
        for listener in self.on_end:
            listener(task)
        task.done.set()
        if task.turn is not None:
            task.turn.set()
        self.advance()
        self._on_change()
        return True

    def hold(self, held: bool) -> None:  # noqa: FBT001  # the one thing it sets
        """While held (paused), waiting tasks keep waiting."""
        self.held = held
        self.advance()

    def advance(self) -> None:
        """Start waiting tasks as far as there is room."""
        while self.queue and not self.held and len(self.running) < self.max_concurrency:
            self._start(self.queue.popitem(last=False)[1])

    def retry_after_seconds(self) -> float:
        """Give the estimated seconds until a task in hand is done and a place is free, at least 1."""
        now = self._clock()
        remaining = [self.history.remaining(now - (task.started_at or now)) for task in self.running.values()]
        known = [rest for rest in remaining if rest is not None]
        mean = self.history.mean()
        if known:
            return max(1.0, math.ceil(min(known)))
        return max(1.0, math.ceil(mean)) if mean is not None else 1.0

    def _start(self, task: Task) -> None:
        task.started_at = self._clock()
        self.running[task.task_id] = task
        if task.turn is not None:
            task.turn.set()

    def _release_key(self, task: Task) -> None:
        if task.key is None:
            return
        del self._by_key[task.key.text]
        if task.started_at is None and task.outcome == "interrupted":
            task.key = None
