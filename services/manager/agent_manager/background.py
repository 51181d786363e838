"""What runs for as long as the manager does. A step that fails is logged and counted, and the next one comes."""

from collections import Counter
from collections.abc import Awaitable, Callable

import structlog

log = structlog.stdlib.get_logger(__name__)


class Background:
    """Runs the steps of background loops; the only place that catches every exception of one."""

    def __init__(self) -> None:
        self.failures: Counter[str] = Counter()
        """How many steps failed, by the loop's name."""

    async def step(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do one step of a loop, whatever it raises. A cancellation goes through."""
        try:
            await work()
        except Exception:
            self.failures[name] += 1
            log.exception("background step failed", loop=name, failures=self.failures[name])
