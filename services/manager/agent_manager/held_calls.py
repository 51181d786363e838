"""The calls that are held: how many, how much of memory, until when, and what ends their wait."""

import asyncio
from collections.abc import Callable
from typing import Final

from agent_contract.asgi import Disconnected

from agent_manager.forward import Forward
from agent_manager.waiting import Waiting

MAX_HELD_CALLS: Final = 10_000
MAX_HELD_BYTES: Final = 256 * 1024 * 1024
"""Bounds of what waits in memory; a call beyond them is not held."""


class HeldCalls:
    """Counts calls in and out, and lets them wait."""

    def __init__(self, on_change: Callable[[str, int], None]) -> None:
        self.waiting = Waiting()
        self.count = 0
        self._bytes = 0
        self._on_change = on_change
        self._backlog_until: dict[str, float] = {}

    def has_room_for(self, call: Forward) -> bool:
        """Tell whether one more may wait."""
        return self.count < MAX_HELD_CALLS and self._bytes + len(call.body) <= MAX_HELD_BYTES

    def backlog_until(self, agent_id: str) -> float | None:
        """Give until when those that an absence held might be, so that newcomers wait behind them; None: none was.

        Also when none of them is held any more: they then fill the agent's own queue, and it takes a while to empty.
        """
        return self._backlog_until.get(agent_id)

    def enter(self, call: Forward) -> None:
        """Count a call in."""
        if not call.bound:
            until = self._backlog_until.get(call.agent_id, 0.0)
            self._backlog_until[call.agent_id] = max(until, call.held_until or 0.0)
        self._changed(call, 1)

    def leave(self, call: Forward) -> None:
        """Count a call out."""
        self._changed(call, -1)

    async def wait(self, call: Forward, left: asyncio.Future[None], seconds: float) -> None:
        """Return when the call is woken, after `seconds` at the latest; raises Disconnected when its client left."""
        waiter = self.waiting.enter(call.agent_id)
        try:
            await asyncio.wait((waiter, left), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.waiting.leave(call.agent_id, waiter)
        if left.done():
            raise Disconnected

    def _changed(self, call: Forward, change: int) -> None:
        self.count += change
        self._bytes += change * len(call.body)
        self._on_change(call.agent_id, change)
