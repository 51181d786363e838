"""SIGTERM and SIGINT: taken before anything heavy is imported, obeyed once the process can."""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_INTERRUPTED: Final = 130


class Signals:
    """Keeps the first signal until it can be obeyed. A second SIGINT ends the process at once.

    As PID 1 a SIGTERM without a handler is dropped by the kernel, and one that comes while Python imports would end
    the process with the wrong exit code.
    """

    def __init__(self) -> None:
        self._obey: Callable[[], object] | None = None
        self._came = False
        self._interrupts = 0
        for number in _SIGNALS:
            signal.signal(number, self._take)

    def obey(self, leave: Callable[[], object]) -> None:
        """Call `leave` at each signal from now on, and at once if one came already."""
        self._obey = leave
        if self._came:
            leave()

    def _take(self, number: int, _: FrameType | None) -> None:
        self._came = True
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            os._exit(_INTERRUPTED)
        if self._obey is not None:
            self._obey()
