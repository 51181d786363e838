"""Telling who looks: a revision that counts visible changes, callbacks, and waiting for the next change of an agent."""

import asyncio
from collections.abc import Callable

Callback = Callable[[str], None]


class Changes:
    """The revision, and who is told of the next one."""

    def __init__(self) -> None:
        self.revision = 0
        self._callbacks: dict[object, Callback] = {}
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}

    def publish(self, agent_id: str) -> int:
        """Count a change of this agent and tell everyone, synchronously; gives the new revision."""
        self.revision += 1
        revision = self.revision
        self.wake(agent_id)
        for callback in tuple(self._callbacks.values()):
            callback(agent_id)
        return revision

    def wake(self, agent_id: str) -> None:
        """End the waits for this agent without a new revision: what changed is nothing that listings show."""
        for waiter in self._waiters.pop(agent_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call back with the agent's id after each change; gives the function that ends it."""
        key = object()
        self._callbacks[key] = callback
        return lambda: self._callbacks.pop(key, None) and None

    async def wait(self, agent_id: str, timeout_seconds: float) -> None:
        """Return at the next change of that agent, after `timeout_seconds` at the latest."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(agent_id, set()).add(waiter)
        try:
            await asyncio.wait((waiter,), timeout=max(0.0, timeout_seconds))
        finally:
            self._forget(agent_id, waiter)

    def _forget(self, agent_id: str, waiter: asyncio.Future[None]) -> None:
        waiters = self._waiters.get(agent_id)
        if waiters is not None:
            waiters.discard(waiter)
            if not waiters:
                del self._waiters[agent_id]
