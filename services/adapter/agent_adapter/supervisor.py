"""The process: it starts the agent, speaks with the managers, waits until it may leave, and leaves in order.

Everything that wants it to leave (a signal, a stop, a restart) enters the lifecycle; this is the only place that looks
whether the drain is over and what has to happen before the process ends.
"""

import asyncio
import contextlib
import time
from enum import Enum
from typing import Any, Final

import structlog
from agent_contract.serving import Server
from agent_contract.wire import DesiredState, DrainReport, Heartbeat, Orders, Registration, Unregistration

from agent_adapter.adapter import Adapter
from agent_adapter.errors import StartFailed
from agent_adapter.heartbeat import Managers
from agent_adapter.identity import Identity, service_url

FIRST_ANSWER_SECONDS: Final = 1.0
STOPPING_HEARD_SECONDS: Final = 1.0
LEAVE_SECONDS: Final = 1.7
"""After the deadline, for the answers of what was cut, hand-over and unregistration: with the exit it is under 2 s."""
CLOSE_AGENT_SECONDS: Final = 3.0
"""For the agent's own `close()`, when nothing waits for an answer any more."""

log = structlog.stdlib.get_logger(__name__)


class Ending(Enum):
    """How the process ends."""

    STOPPED = 0
    FAILED = 1
    RESTART = 2


class Supervisor:
    """Runs one instance from start to end."""

    def __init__(self, adapter: Adapter, identity: Identity, server: Server, port: int) -> None:
        self._adapter = adapter
        self._identity = identity
        self._server = server
        self._port = port
        self._changed = asyncio.Event()
        self._told: DesiredState | None = None
        self._obeyed = False
        self._failed = False
        self._cut_tasks = 0
        self._announced: tuple[Any, ...] = ()
        self.managers: Managers

    @property
    def told(self) -> DesiredState | None:
        """What a manager last said the agent is to be."""
        return self._told

    async def run(self) -> Ending:
        """Live: start, serve, drain, leave; gives how the process is to end."""
        async with asyncio.TaskGroup() as group:
            talking = group.create_task(self.managers.run())
            try:
                started = await self._come_up()
                if started:
                    await self._until_drained()
                await self._leave()
            finally:
                talking.cancel()
        if self._failed:
            return Ending.FAILED
        drain = self._adapter.lifecycle.drain
        return Ending.RESTART if drain is not None and drain.restarts else Ending.STOPPED

    def changed(self) -> None:
        """Look again: the lifecycle, the task table or the agent's problem changed."""
        if self._adapter.lifecycle.drain is not None:
            self._server.close_after_answers()
        else:
            self._server.reopen()
        self._changed.set()

    # --- what the managers are told and say (heartbeat.Instance) ---

    def registration(self, manager: tuple[str, int]) -> Registration:
        """Give the registration for a manager at this address."""
        settings = self._adapter.settings
        return self._adapter.views.registration(service_url(settings.service_url, settings.host, self._port, manager))

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
        if self._identity.renew():
            log.warning("a manager knows another life here, going on under a new id", new=self._identity.instance_id)
            self.managers.push()
            return
        log.error("another instance has this one's address, leaving")
        self._failed = True
        self._adapter.lifecycle.leave("stop")

    # --- the life ---

    async def _come_up(self) -> bool:
        """Start the agent while the first registration is under way; False when a drain or a failure came first."""
        starting = asyncio.create_task(self._adapter.agent.start())
        first = asyncio.create_task(self.managers.first_answer(FIRST_ANSWER_SECONDS))
        pending: set[asyncio.Task[None]] = {starting, first}
        while pending and self._adapter.lifecycle.drain is None:
            self._changed.clear()
            waiting = asyncio.create_task(self._changed.wait())
            done, _ = await asyncio.wait({*pending, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            pending -= done
        for task in pending:
            task.cancel()
        if starting in pending:
            return False
        try:
            starting.result()
        except StartFailed as error:
            self._start_failed(error)
            return False
        if self._adapter.lifecycle.drain is None:
            self._adapter.lifecycle.come_up()
            log.info("up", state=self._adapter.lifecycle.state, port=self._port)
        return True

    def _start_failed(self, error: StartFailed) -> None:
        self._failed = True
        log.error("cannot start", reason=str(error), exc_info=error.__cause__)
        self._adapter.lifecycle.leave("stop", 0)

    async def _until_drained(self) -> None:
        """Return when a drain is over: no task is left, or its deadline has come and what was left is cut."""
        adapter = self._adapter
        while True:
            self._announce()
            drain, now = adapter.lifecycle.drain, adapter.clock()
            if drain is None:
                adapter.execution.table.hold(adapter.lifecycle.paused)
                await self._change()
                continue
            if now >= drain.quiet_until:
                adapter.execution.follow_lifecycle()
                if adapter.execution.table.idle:
                    return
            if now >= drain.deadline:
                self._cut_tasks = adapter.execution.cut_all()
                return
            await self._change(until=drain.quiet_until if now < drain.quiet_until else drain.deadline)

    async def _leave(self) -> None:
        """Give every answer, hand over, unregister, close: within 2 s of the deadline."""
        adapter = self._adapter
        drain = adapter.lifecycle.drain
        adapter.lifecycle.begin_leaving()
        self._server.close_after_answers()
        now = adapter.clock()
        since, deadline = (now, now) if drain is None else (drain.since, drain.deadline)
        try:
            async with asyncio.timeout_at(_loop_time(max(now, deadline) + LEAVE_SECONDS)):
                await self.managers.heard_stopping(max(0.0, since + STOPPING_HEARD_SECONDS - now))
                await self.managers.hand_over(adapter.views.unfetched())
                await self.managers.unregister(self._last_word(since))
                await self._server.leave()
        except TimeoutError:
            log.warning("left with answers that nobody read", requests=self._server.in_flight)
            self._server.abort()
        adapter.lifecycle.end()
        await self._close_agent()

    async def _close_agent(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_AGENT_SECONDS):
                await self._adapter.agent.close()
        except Exception:  # agent code may raise anything; the process leaves all the same
            log.exception("closing the agent failed")

    def _last_word(self, since: float) -> Unregistration:
        drain = self._adapter.lifecycle.drain
        reason = "start-failed" if self._failed or drain is None else drain.reason
        ended = self._adapter.execution.table.ended
        finished = sum(task.finished_by_itself and (task.ended_at or 0.0) >= since for task in ended)
        report = None
        if drain is not None:
            took = round(self._adapter.clock() - since, 3)
            report = DrainReport(drain.reason, took, finished, self._cut_tasks)
            log.info(
                "drained", reason=reason, duration_seconds=took, finished=report.finished_tasks, cut=self._cut_tasks
            )
        beat = self.heartbeat()
        return Unregistration(beat.id, beat.instance_id, reason=reason, drain=report, totals=beat.totals)

    def _announce(self) -> None:
        """Tell the managers at once when what they must know has changed: state, drain, problem."""
        lifecycle = self._adapter.lifecycle
        drain, problem = lifecycle.drain, self._adapter.agent.problem
        facts = (lifecycle.state, drain and (drain.reason, drain.deadline), problem and problem.code)
        if facts != self._announced:
            if self._announced:
                log.info("state changed", state=lifecycle.state, reason=drain.reason if drain else None)
            self._announced = facts
            self.managers.push()

    async def _change(self, until: float | None = None) -> None:
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(_loop_time(until)):
                await self._changed.wait()


def _loop_time(at: float | None) -> float | None:
    return None if at is None else asyncio.get_running_loop().time() + at - time.monotonic()
