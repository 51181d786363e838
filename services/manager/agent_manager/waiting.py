"""Calls that wait for an agent to be able to take them, in the order of their coming."""

import asyncio

_Queue = dict[asyncio.Future[None], None]
"""In the order of coming, and left in constant time by one whose time is up."""


class Waiting:
    """Wakes those that wait: all of them when the agent changed, the first when a place may have become free."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}

    def __contains__(self, agent_id: object) -> bool:
        return agent_id in self._queues

    def enter(self, agent_id: str) -> asyncio.Future[None]:
        """Give what ends when the caller is woken; whoever enters leaves."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(agent_id, {})[waiter] = None
        return waiter

    def leave(self, agent_id: str, waiter: asyncio.Future[None]) -> None:
        """Wait no more."""
        queue = self._queues.get(agent_id)
        if queue is not None:
            queue.pop(waiter, None)
            if not queue:
                del self._queues[agent_id]

    def wake_first(self, agent_id: str) -> None:
        """Wake the one that has waited longest."""
        queue = self._queues.get(agent_id)
        if queue:
            waiter = next(iter(queue))
            self.leave(agent_id, waiter)
            waiter.set_result(None)

    def wake_all(self, agent_id: str) -> None:
        """Wake everyone who waits for this agent."""
        for waiter in self._queues.pop(agent_id, ()):
            waiter.set_result(None)

    def wake_everyone(self) -> None:
        """Wake everyone."""
        for agent_id in list(self._queues):
            self.wake_all(agent_id)
