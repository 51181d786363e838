"""The tasks that ended: kept an hour, the last 1,000 of them, their results within 64 MiB."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from heapq import merge
from typing import Final

from agent_adapter.tasks import Key, Task

KEPT_SECONDS: Final = 3600.0
KEPT_TASKS: Final = 1000
KEPT_KEYED_TASKS: Final = 10_000
"""A key is answered for an hour; ten thousand is what an agent at 3 calls/s needs, some 10 MB without results."""
KEPT_RESULT_BYTES: Final = 64 * 1024 * 1024


class EndedTasks:
    """The memory of what ended, bounded in age, number and bytes; each kind oldest first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._plain: OrderedDict[str, Task] = OrderedDict()
        self._keyed: OrderedDict[str, Task] = OrderedDict()
        self._by_key: dict[str, Task] = {}
        self._with_result: deque[Task] = deque()
        self._result_bytes = 0

    def __iter__(self) -> Iterator[Task]:
        """Give them, the one that ended last first."""
        self._forget_old()
        both = (reversed(self._plain.values()), reversed(self._keyed.values()))
        return merge(*both, key=_ended_at, reverse=True)

    def find(self, task_id: str) -> Task | None:
        """Give the task of this id if it ended within the hour and is still kept."""
        self._forget_old()
        return self._plain.get(task_id) or self._keyed.get(task_id)

    def find_key(self, key: Key) -> Task | None:
        """Give the task that this idempotency key began."""
        self._forget_old()
        return self._by_key.get(key.text)

    def add(self, task: Task) -> None:
        """Keep one more; what is over the bounds goes, oldest first."""
        kind, most = (self._plain, KEPT_TASKS) if task.key is None else (self._keyed, KEPT_KEYED_TASKS)
        kind[task.task_id] = task
        if task.key is not None:
            self._by_key[task.key.text] = task
        if len(kind) > most:
            self._forget(kind)
        if task.result is not None:
            self._with_result.append(task)
            self._result_bytes += len(task.result)
            while self._result_bytes > KEPT_RESULT_BYTES:
                self._drop_oldest_result()
        self._forget_old()

    def _drop_oldest_result(self) -> None:
        oldest = self._with_result.popleft()
        if not oldest.forgotten:
            self._result_bytes -= len(oldest.result or b"")
            oldest.result, oldest.result_dropped = None, True

    def _forget_old(self) -> None:
        horizon = self._clock() - KEPT_SECONDS
        for kind in (self._plain, self._keyed):
            while kind and _ended_at(next(iter(kind.values()))) <= horizon:
                self._forget(kind)

    def _forget(self, kind: OrderedDict[str, Task]) -> None:
        _, task = kind.popitem(last=False)
        if task.key is not None and self._by_key.get(task.key.text) is task:
            del self._by_key[task.key.text]
        task.forgotten = True
        self._result_bytes -= len(task.result or b"")
        while self._with_result and self._with_result[0].forgotten:
            self._with_result.popleft()


def _ended_at(task: Task) -> float:
    return task.ended_at or 0.0
