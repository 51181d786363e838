"""Keeps one child process there: starts it, and again with backoff when it dies."""

import asyncio
import contextlib
import random
import signal
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog
from agent_contract.problems import Problem
from agent_contract.wire import ProblemState

from agent_adapter.agents.child import Child, Launch, Listener
from agent_adapter.errors import StartFailed

_CRASHES: Final = 3
_CRASH_WINDOW_SECONDS: Final = 60.0
_FIRST_BACKOFF_SECONDS: Final = 0.1
_LONGEST_BACKOFF_SECONDS: Final = 10.0
_MOST_DOUBLINGS: Final = 16
"""Then the longest has long been the bound; a program may be missing for days."""
_SETTLED_SECONDS: Final = 1.0
"""A child that has lived so long, or said something, is there: its predecessor's crash is no longer a problem."""

log = structlog.stdlib.get_logger(__name__)


class Owner(Listener, Protocol):
    """Whose child it is."""

    def bereaved(self) -> None:
        """Learn that the child is gone, and every task in it."""


class ChildKeeper:
    """The one child of an agent. One that `greets` is there when `arrived` is called, another once it was spawned."""

    def __init__(
        self,
        launch: Launch,
        owner: Owner,
        *,
        greets: bool,
        on_change: Callable[[], None],
        on_restart: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._launch = launch
        self._owner = owner
        self._greets = greets
        self._on_change = on_change
        self._on_restart = on_restart
        self._clock = clock
        self._child: Child | None = None
        self._there = False
        self._news = asyncio.Event()
        self._first: asyncio.Future[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._closing = False
        self._ended_on_purpose: Child | None = None
        self._complaint: str | None = None
        self._crashes: deque[float] = deque(maxlen=_CRASHES)
        self.problem: ProblemState | None = None

    async def start(self) -> None:
        """Start the first child and wait until it is there; raises StartFailed."""
        self._first = asyncio.get_running_loop().create_future()
        try:
            child = await self._spawn()
        except OSError as error:
            raise StartFailed(f"cannot start {self._launch.name}: {error.strerror}") from error
        self._keeping = asyncio.create_task(self._keep(child))
        await self._first

    async def close(self) -> None:
        """End the child: its stdin is closed, then SIGTERM, then SIGKILL; what it says meanwhile is still heard."""
        self._closing = True
        if self._keeping is None:
            return
        try:
            if self._child is not None:
                await self._child.end()
            else:
                self._keeping.cancel()  # it waits to start the next
            await asyncio.wait([self._keeping])
        finally:
            self._keeping.cancel()

    async def living(self) -> Child:
        """Wait for the child; raises Problem 503 `agent-crashed` when it has crashed three times in a minute."""
        while self._child is None or not self._there or self._child.has_exited:
            if self._crashes_often():
                detail = f"the {self._launch.name} has crashed {_CRASHES} times in a minute"
                raise Problem("agent-crashed", detail, status=503, headers={"Retry-After": "1"}, started=False)
            await self._news.wait()
        return self._child

    def arrived(self) -> None:
        """Take tasks from now on."""
        self._there = True
        if self._first is not None and not self._first.done():
            self._first.set_result(None)
        self._tell()

    def complain(self, why: str) -> None:
        """Note why a child cannot start: it says so before it exits."""
        self._complaint = why

    def settled(self) -> None:
        """Forget its predecessor's end: the child is at work."""
        if self._there and self.problem is not None:
            self._say(None)

    async def terminate(self, child: Child, why: str) -> None:
        """End a child that does not do as told, and start the next at once: that is no crash of the agent's."""
        if child is not self._child or not self._there:
            return  # it has gone by itself, or is being ended already
        log.warning("ending the agent's process", reason=why, pid=child.pid)
        self._there = False
        self._ended_on_purpose = child
        self._complaint = why
        await child.terminate()

    async def _spawn(self) -> Child:
        self._child = child = await Child.spawn(self._launch)
        self._complaint = None
        if not self._greets:
            self.arrived()
        return child

    async def _keep(self, child: Child) -> None:
        """Serve the child; when it dies, fail its tasks and start the next."""
        attempt = 0
        while True:
            settling = asyncio.get_running_loop().call_later(_SETTLED_SECONDS, self.settled)
            born = self._clock()
            code = await self._served(child)
            settling.cancel()
            self._there, self._child = False, None
            if self._closing or self._failed_at_first(code):
                self._owner.bereaved()
                return
            on_purpose = child is self._ended_on_purpose
            attempt = 0 if on_purpose or self._clock() - born > _CRASH_WINDOW_SECONDS else attempt + 1
            self._died(code, crashed=not on_purpose)
            child = await self._next_child(attempt)

    async def _served(self, child: Child) -> int:
        try:
            return await child.serve(self._owner)
        except Exception:  # whatever goes wrong with one child, the next must come
            log.exception("reading the agent's process failed", pid=child.pid)
            return -signal.SIGKILL

    async def _next_child(self, attempt: int) -> Child:
        while True:
            longest = min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2 ** min(attempt, _MOST_DOUBLINGS))
            await asyncio.sleep(random.uniform(0, longest))  # noqa: S311  # jitter, not a secret
            try:
                child = await self._spawn()
            except OSError as error:
                attempt += 1
                log.warning("cannot start the agent's process", name=self._launch.name, error=error.strerror)
            else:
                self._on_restart()
                return child

    def _failed_at_first(self, code: int) -> bool:
        if self._first is None or self._first.done():
            return False
        self._first.set_exception(StartFailed(self._complaint or self._ending(code)))
        return True

    def _died(self, code: int, *, crashed: bool) -> None:
        if crashed:
            self._crashes.append(self._clock())
        self._say(self._complaint or self._ending(code))
        self._owner.bereaved()
        self._tell()

    def _ending(self, code: int) -> str:
        return f"the {self._launch.name} {ending(code)}"

    def _crashes_often(self) -> bool:
        return len(self._crashes) == _CRASHES and self._clock() - self._crashes[0] < _CRASH_WINDOW_SECONDS

    def _tell(self) -> None:
        self._news.set()
        self._news.clear()

    def _say(self, detail: str | None) -> None:
        self.problem = ProblemState("agent-crashed", detail, datetime.now(UTC)) if detail else None
        if detail:
            log.error("agent process ended", detail=detail)
        self._on_change()


def ending(code: int) -> str:
    """Give how a process ended, for people."""
    if code >= 0:
        return f"exited with {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
