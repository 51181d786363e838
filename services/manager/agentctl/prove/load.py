"""A steady load through the manager, while something else happens."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

from agentctl.client import Answer, Manager
from agentctl.failures import CommandFailed
from agentctl.prove.ledger import Ledger, verdict
from agentctl.watch import FLEET

MOST_IN_HAND: Final = 64
"""Calls that wait at once; where an agent is slower than the load, the load is as slow as the agent."""
_WARM_SHARE: Final = 0.1
"""Of the calls, before what is to be proved begins: connections stand, and the first answers have come."""


class Load:
    """Calls one agent again and again, so many times a second."""

    def __init__(self, manager: Manager, agent_id: str, parameters: dict[str, Any], per_second: float) -> None:
        self._manager = manager
        self._path = f"{FLEET}/{agent_id}/execute"
        self._body = {"parameters": parameters}
        self._pause = 1 / per_second
        self._ended = threading.Event()
        self._warm = threading.Event()
        self._enough = threading.Event()
        self.ledger = Ledger()

    def first(self) -> None:
        """Make one call; raises CommandFailed where it fails: a load of failures would prove nothing."""
        self._manager.send("POST", self._path, body=self._body, answer_seconds=None)

    @contextmanager
    def going(self, calls: int) -> Iterator[None]:
        """Call meanwhile: the block begins once the load is warm, and calls go on until it ends and `calls` were made.

        Behind the block every call has its answer.
        """
        pacer = threading.Thread(target=self._run, args=(calls,), daemon=True)
        pacer.start()
        self._warm.wait()
        try:
            yield
            self._enough.wait()
        finally:
            self._ended.set()
            pacer.join()

    def _run(self, calls: int) -> None:
        due, made, free = time.monotonic(), 0, threading.BoundedSemaphore(MOST_IN_HAND)
        with ThreadPoolExecutor(MOST_IN_HAND) as pool:
            while not self._ended.is_set():
                free.acquire()
                pool.submit(self._call).add_done_callback(lambda _: free.release())
                made += 1
                if made >= calls * _WARM_SHARE:
                    self._warm.set()
                if made >= calls:
                    self._enough.set()
                due = max(due + self._pause, time.monotonic() - self._pause)  # a slow agent is not made up for
                self._ended.wait(max(0.0, due - time.monotonic()))

    def _call(self) -> None:
        self.ledger.begin()
        outcome: Answer | CommandFailed
        try:
            outcome = self._manager.send("POST", self._path, body=self._body, answer_seconds=None)
        except CommandFailed as failure:
            outcome = failure
        self.ledger.end(*verdict(outcome))
