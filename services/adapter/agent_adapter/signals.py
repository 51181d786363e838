"""The signals that tell the process to leave: taken before anything heavy is imported, obeyed when it can.

As PID 1 a SIGTERM without a handler is dropped by the kernel, and anywhere else one that comes while Python imports
would end the process with the wrong exit code.
"""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_INTERRUPTED: Final = 130


class Signals:
    """The signals that came: kept until the process can obey, then told to `on_signal`."""

    def __init__(self) -> None:
        self.came = False
        self._on_signal: Callable[[int], None] | None = None
        self._early: list[int] = []
        self._interrupts = 0
        for number in _SIGNALS:
            signal.signal(number, self._take)
        if sys.platform != "win32":  # they were blocked over a restart's exec
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def obey(self, on_signal: Callable[[int], None]) -> None:
        """From now on tell `on_signal`, of the early ones too."""
        self._on_signal = on_signal
        for number in self._early:
            on_signal(number)

    def block(self) -> None:
        """Keep signals waiting: those that come from now on are for the process that the exec begins."""
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def _take(self, number: int, _: FrameType | None) -> None:
        self.came = True
        if number == signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > 1:
                os._exit(_INTERRUPTED)
        if self._on_signal is None:
            self._early.append(number)
        else:
            self._on_signal(number)
