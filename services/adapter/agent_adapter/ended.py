"""The tasks that ended: kept an hour, the last 1,000 of them, their results within 64 MiB."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

from agent_adapter.tasks import Key, Task

KEPT_SECONDS: Final = 3600.0
KEPT_TASKS: Final = 1000
KEPT_KEYED_TASKS: Final = 10_000
"""A key is answered for an hour; ten thousand is what an agent at 3 calls/s needs, some 10 MB without results."""
KEPT_RESULT_BYTES: Final = 64 * 1024 * 1024


class EndedTasks:
    """The memory of what ended, bounded in age, number and bytes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        self._with_result: OrderedDict[str, Task] = OrderedDict()
        self._unkeyed: OrderedDict[str, None] = OrderedDict()
        self._by_key: dict[str, Task] = {}
        self._result_bytes = 0

    def __iter__(self) -> Iterator[Task]:
        """Give them, the one that ended last first."""
        self._forget_old()
        return reversed(self._tasks.values())

    def find(self, task_id: str) -> Task | None:
        """Give the task of this id if it ended within the hour and is still kept."""
        self._forget_old()
        return self._tasks.get(task_id)

    def find_key(self, key: Key) -> Task | None:
        """Give the task that this idempotency key began."""
        self._forget_old()
        return self._by_key.get(key.text)

    def add(self, task: Task) -> None:
        """Keep one more; what is over the bounds goes, oldest first."""
        self._tasks[task.task_id] = task
        if task.key is not None:
            self._by_key[task.key.text] = task
        else:
            self._unkeyed[task.task_id] = None
        if task.result is not None:
            self._with_result[task.task_id] = task
            self._result_bytes += len(task.result)
        self._drop_results()
        self._forget_old()
        while len(self._unkeyed) > KEPT_TASKS:
            self._forget(next(iter(self._unkeyed)))
        while len(self._tasks) > KEPT_TASKS + KEPT_KEYED_TASKS:
            self._forget(next(iter(self._tasks)))

    def _drop_results(self) -> None:
        while self._result_bytes > KEPT_RESULT_BYTES:
            _, oldest = self._with_result.popitem(last=False)
            self._result_bytes -= len(oldest.result or b"")
            oldest.result, oldest.result_dropped = None, True

    def _forget_old(self) -> None:
        horizon = self._clock() - KEPT_SECONDS
        while self._tasks:
            task_id, task = next(iter(self._tasks.items()))
            if (task.ended_at or 0.0) > horizon:
                return
            self._forget(task_id)

    def _forget(self, task_id: str) -> None:
        task = self._tasks.pop(task_id)
        self._unkeyed.pop(task_id, None)
        if self._with_result.pop(task_id, None) is not None:
            self._result_bytes -= len(task.result or b"")
        if task.key is not None and self._by_key.get(task.key.text) is task:
            del self._by_key[task.key.text]
