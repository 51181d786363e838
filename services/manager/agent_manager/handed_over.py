"""Results that instances handed over before they left: kept an hour, in bounded memory, oldest out first."""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from agent_contract.wire import FinishedTask, HandOver
from msgspec import Raw, UnsetType

KEEP_SECONDS: Final = 3600.0
MAX_BYTES: Final = 256 * 1024 * 1024
_OVERHEAD_BYTES: Final = 1024
"""What one result costs beside its bytes, so that a million empty ones are bounded too."""


class Kept(msgspec.Struct, frozen=True):
    """A result, whose it is, and who brought it."""

    agent_id: str
    instance_id: str
    task: FinishedTask
    size_bytes: int
    until: float
    """The clock's time at which it is dropped."""


class ResultStore:
    """Finds handed-over results by task, and by the idempotency key that began them."""

    def __init__(
        self, clock: Callable[[], float], *, max_bytes: int = MAX_BYTES, keep_seconds: float = KEEP_SECONDS
    ) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._keep_seconds = keep_seconds
        self._by_task: dict[tuple[str, str], Kept] = {}  # in the order of their coming, which is that of their going
        self._by_key: dict[tuple[str, str], str] = {}
        self.size_bytes = 0

    def keep(self, message: HandOver) -> None:
        """Keep what an instance hands over; the same task handed over again replaces the first."""
        until = self._clock() + self._keep_seconds
        for task in message.results:
            self._drop(message.id, task.task_id)
            own = msgspec.structs.replace(task, result=_copied(task.result), problem=_copied(task.problem))
            size = _OVERHEAD_BYTES + _length(own.result) + _length(own.problem)
            self._by_task[message.id, task.task_id] = Kept(message.id, message.instance_id, own, size, until)
            self.size_bytes += size
            if task.key is not None:
                self._by_key[message.id, task.key] = task.task_id
        self._trim()

    def find(self, agent_id: str, task_id: str) -> Kept | None:
        """Give what became of a task, or None."""
        self._trim()
        return self._by_task.get((agent_id, task_id))

    def find_key(self, agent_id: str, key: str) -> Kept | None:
        """Give what became of the task that an idempotency key began, or None."""
        self._trim()
        task_id = self._by_key.get((agent_id, key))
        return None if task_id is None else self._by_task.get((agent_id, task_id))

    def list_kept(self, agent_id: str | None = None) -> Iterator[Kept]:
        """Give the results of an agent, or of all, the last one first."""
        self._trim()
        return (kept for kept in reversed(self._by_task.values()) if agent_id in (None, kept.agent_id))

    def _trim(self) -> None:
        now = self._clock()
        while self._by_task:
            agent_id, task_id = next(iter(self._by_task))
            if self._by_task[agent_id, task_id].until > now and self.size_bytes <= self._max_bytes:
                return
            self._drop(agent_id, task_id)

    def _drop(self, agent_id: str, task_id: str) -> None:
        kept = self._by_task.pop((agent_id, task_id), None)
        if kept is None:
            return
        self.size_bytes -= kept.size_bytes
        key = kept.task.key
        if key is not None and self._by_key.get((agent_id, key)) == task_id:
            del self._by_key[agent_id, key]


def _copied(part: Raw | UnsetType) -> Raw | UnsetType:
    """Give a part of a message that does not keep the whole message in memory."""
    return part.copy() if isinstance(part, Raw) else part


def _length(part: Raw | UnsetType) -> int:
    return len(bytes(part)) if isinstance(part, Raw) else 0
