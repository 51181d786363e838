"""What the signals to `agentctl up` order: the first to drain, a second Ctrl-C to hurry, a third to kill."""

import asyncio
import signal
from typing import Final

_TERMINATING: Final = (signal.SIGTERM, signal.SIGHUP)
"""SIGHUP comes when the terminal is closed. These may be repeated and change nothing then."""


class Orders:
    """The orders so far, as events to wait for."""

    def __init__(self) -> None:
        self.leave = asyncio.Event()
        self.hurry = asyncio.Event()
        self.kill = asyncio.Event()

    def obey_signals(self) -> None:
        """Take the signals of this process from now on."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self.interrupt)
        for number in _TERMINATING:
            loop.add_signal_handler(number, self.leave.set)

    def interrupt(self) -> None:
        """Take one Ctrl-C: it orders what comes after what was ordered."""
        following = (order for order in (self.leave, self.hurry, self.kill) if not order.is_set())
        next(following, self.kill).set()
