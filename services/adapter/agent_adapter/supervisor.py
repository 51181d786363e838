"""The process: it starts the agent, speaks with the managers, waits until it may leave, and leaves in order.

Everything that wants it to leave (a signal, a stop, a restart) enters the lifecycle; this is the only place that looks
whether the drain is over and what has to happen before the process ends.
"""

import asyncio
import contextlib
import gc
import socket
import time
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

import structlog
from agent_contract.serving import Server
from agent_contract.tls import Tls
from agent_contract.wire import DesiredState, DrainReport, Heartbeat, Orders, Registration, Unregistration

from agent_adapter.adapter import Adapter
from agent_adapter.errors import StartFailed
from agent_adapter.heartbeat import Managers
from agent_adapter.identity import Identity, service_url

FIRST_ANSWER_SECONDS: Final = 1.0
STOPPING_HEARD_SECONDS: Final = 1.0
LEAVE_SECONDS: Final = 1.7
"""After the deadline, for hand-over, unregistration and the last answers: with the exit it is under 2 s."""
EXIT_SECONDS: Final = 0.2
"""Behind that, for exit handlers and the last log lines."""
LAST_ANSWERS_SECONDS: Final = 1.05
"""What the managers leave of it for answers: a request of which only a part has arrived may take 1 s more."""
CLOSE_AGENT_SECONDS: Final = 3.0
"""For the agent's own `close()`, beside all that, and never longer than all that where the deadline has come."""

log = structlog.stdlib.get_logger(__name__)


class Ending(Enum):
    """How the process ends."""

    STOPPED = 0
    FAILED = 1
    RESTART = 2


class Supervisor:
    """Runs one instance from start to end."""

    def __init__(
        self,
        adapter: Adapter,
        identity: Identity,
        serve_on: Callable[[list[socket.socket]], Server],
        tls: Tls | None = None,
    ) -> None:
        self._tls = tls
        self._adapter = adapter
        self._identity = identity
        self._serve_on = serve_on
        self._changed = asyncio.Event()
        self._told: DesiredState | None = None
        self._obeyed = False
        self._cut_tasks = 0
        self._announced: tuple[Any, ...] = ()
        self.failure: str | None = None
        """Why the process ends with exit code 1, as `cannot X: reason`."""
        self.successor_sockets: list[int] = []
        """The listening sockets' descriptors, kept open for the process that a restart begins."""
        self.leave_by = 0.0
        """When the process must be gone, on the monotonic clock; 0 as long as it does not leave."""
        self.managers: Managers
        self.server: Server

    @property
    def told(self) -> DesiredState | None:
        """What a manager last said the agent is to be."""
        return self._told

    async def run(self) -> Ending:
        """Live: start, serve, drain, leave; gives how the process is to end."""
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(self.managers.run())]
            if self._tls is not None:
                beside.append(group.create_task(self._tls.keep_fresh()))
            try:
                if await self._come_up():
                    await self._until_drained()
                await self._leave()
            finally:
                for task in beside:
                    task.cancel()
        if self.failure is not None:
            return Ending.FAILED
        return Ending.RESTART if self._restarts else Ending.STOPPED

    def obey(self) -> None:
        """Do at once what a change of the lifecycle means: for open connections, for waiting tasks."""
        if self._adapter.lifecycle.drain is not None:
            self.server.close_after_answers()
        else:
            self.server.reopen()
        self._adapter.execution.follow_lifecycle()
        self.wake()

    def wake(self) -> None:
        """Look again: the lifecycle, the task table or the agent's problem changed."""
        self._changed.set()

    # --- what the managers are told and say (manager_link.Instance) ---

    def registration(self, manager: tuple[str, int]) -> Registration:
        """Give the registration for a manager at this address."""
        settings = self._adapter.settings
        return self._adapter.views.registration(
            service_url(settings.service_url, settings.host, settings.port, manager, tls=self._tls is not None)
        )

    def heartbeat(self) -> Heartbeat:
        """Give the present beat."""
        return self._adapter.views.heartbeat()

    def ordered(self, orders: Orders) -> None:
        """Keep what a manager said to send it back; obey `paused`, only from the first answer of this process."""
        self._told = orders.desired_state
        if not self._obeyed:
            self._obeyed = True
            if orders.desired_state == "paused" and self._adapter.lifecycle.drain is None:
                self._adapter.lifecycle.act("pause")

    def stale(self) -> None:
        """Take a new id once; told again, another life has this one's place: leave."""
        if self.failure is not None:
            return
        if self._identity.renew():
            log.warning("a manager knows another life here, going on under a new id", new=self._identity.instance_id)
            self.managers.push()
            return
        self.failure = f"cannot go on as agent {self._identity.agent_id}: another instance has this one's address"
        log.error("another instance has this one's address, leaving")
        self._adapter.lifecycle.leave("stop")

    # --- the life ---

    @property
    def _restarts(self) -> bool:
        drain = self._adapter.lifecycle.drain
        return drain is not None and drain.restarts and self.failure is None

    async def _come_up(self) -> bool:
        """Start the agent while the first registration is under way; False when a drain or a failure came first."""
        lifecycle = self._adapter.lifecycle
        starting = asyncio.create_task(self._adapter.agent.start())
        first = asyncio.create_task(self.managers.first_answer(FIRST_ANSWER_SECONDS))
        for task in (starting, first):
            task.add_done_callback(lambda _: self.wake())
        while lifecycle.drain is None and not (starting.done() and (first.done() or starting.exception())):
            self._announce()
            await self._change()
        first.cancel()
        if not starting.done():
            starting.cancel()
            return False
        error = starting.exception()
        if error is not None:
            self._start_failed(error)
        elif lifecycle.drain is None:
            gc.freeze()  # libraries and agent stay: no collection looks through them again, a fifth of a call's time
            lifecycle.come_up()
            log.info("up", state=lifecycle.state, port=self._adapter.settings.port)
            return True
        return False

    def _start_failed(self, error: BaseException) -> None:
        said = str(error) if isinstance(error, StartFailed) else f"{type(error).__name__}: {error}"
        self.failure = said if said.startswith("cannot ") else f"cannot start agent {self._identity.agent_id}: {said}"
        log.error("cannot start", reason=said, exc_info=error.__cause__ or error)
        self._adapter.lifecycle.leave("stop", 0)

    async def _until_drained(self) -> None:
        """Return when a drain is over: no task is left, or its deadline has come and what was left is cut."""
        adapter = self._adapter
        while True:
            self._announce()
            drain, now = adapter.lifecycle.drain, adapter.clock()
            if drain is None:
                await self._change()
                continue
            adapter.execution.follow_lifecycle()
            if now >= drain.quiet_until and adapter.execution.table.idle:
                return
            if now >= drain.deadline:
                self._cut_tasks = adapter.execution.cut_all()
                return
            await self._change(until=drain.quiet_until if now < drain.quiet_until else drain.deadline)

    async def _leave(self) -> None:
        """Tell the managers, give every answer, close: within 2 s of the deadline."""
        lifecycle = self._adapter.lifecycle
        drain, now = lifecycle.drain, self._adapter.clock()
        since, deadline = (now, now) if drain is None else (drain.since, drain.deadline)
        end = max(now, deadline) + LEAVE_SECONDS
        self.leave_by = end + EXIT_SECONDS
        lifecycle.begin_leaving()
        self.server.close_after_answers()
        self._announce()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._close_agent(end))
            await self._say_last_words(since, end - LAST_ANSWERS_SECONDS)
            await self._give_last_answers(end)
        lifecycle.end()

    async def _say_last_words(self, since: float, end: float) -> None:
        last_word = self._last_word(since)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(_loop_time(end)):
                heard_seconds = max(0.0, since + STOPPING_HEARD_SECONDS - self._adapter.clock())
                await self.managers.take_leave(heard_seconds, self._adapter.views.unfetched, last_word)

    async def _give_last_answers(self, end: float) -> None:
        if self._restarts:
            self.successor_sockets = self.server.detach_all()
        self._adapter.leaving.set()
        try:
            async with asyncio.timeout_at(_loop_time(end)):
                await self.server.leave(keep_listening=bool(self.successor_sockets))
                if self.successor_sockets and not self._restarts:
                    await self._answer_who_waits()
        except TimeoutError:
            log.warning("left with answers that nobody read", requests=self.server.in_flight)
            self.server.abort()

    async def _answer_who_waits(self) -> None:
        """Answer the connections that wait for the next life: an order to stop came last, and there will be none."""
        sockets = [socket.socket(fileno=number) for number in self.successor_sockets]
        self.successor_sockets = []
        self.server = self._serve_on(sockets)
        self.server.close_after_answers()
        await self.server.start()
        await self.server.leave()

    async def _close_agent(self, end: float) -> None:
        latest = min(end, self._adapter.clock() + CLOSE_AGENT_SECONDS)
        try:
            async with asyncio.timeout_at(_loop_time(latest)):
                await self._adapter.agent.close()
        except TimeoutError:
            log.warning("the agent did not close in time")
        except Exception:  # agent code may raise anything; the process leaves all the same
            log.exception("closing the agent failed")

    def _last_word(self, since: float) -> Unregistration:
        drain, beat = self._adapter.lifecycle.drain, self.heartbeat()
        if self.failure is not None or drain is None:
            return Unregistration(beat.id, beat.instance_id, reason="failed", totals=beat.totals)
        ended = self._adapter.execution.table.ended
        finished = sum(task.finished_by_itself and (task.ended_at or 0.0) >= since for task in ended)
        took = round(self._adapter.clock() - since, 3)
        log.info("drained", reason=drain.reason, duration_seconds=took, finished=finished, cut=self._cut_tasks)
        report = DrainReport(drain.reason, took, finished, self._cut_tasks)
        return Unregistration(beat.id, beat.instance_id, reason=drain.reason, drain=report, totals=beat.totals)

    def _announce(self) -> None:
        """Tell the managers at once when what they must know has changed: state, drain, problem."""
        lifecycle = self._adapter.lifecycle
        drain, problem = lifecycle.drain, self._adapter.agent.problem
        facts = (lifecycle.state, drain and (drain.reason, drain.deadline), problem and problem.code)
        if facts != self._announced:
            came_up = self._announced[:1] == ("starting",) and drain is None
            if self._announced and not came_up:
                reason = drain.reason if drain else None
                log.info("state changed", state=lifecycle.state, reason=reason, problem=problem and problem.code)
            self._announced = facts
            self.managers.push()

    async def _change(self, until: float | None = None) -> None:
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(_loop_time(until)):
                await self._changed.wait()


def _loop_time(at: float | None) -> float | None:
    return None if at is None else asyncio.get_running_loop().time() + at - time.monotonic()
