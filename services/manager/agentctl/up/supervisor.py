"""The life of `agentctl up`: the manager first, then the agents; out again in the other order."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Mapping
from typing import Final

from agentctl.failures import CommandFailed, Exit
from agentctl.up.banner import banner
from agentctl.up.interrupts import Orders
from agentctl.up.keeper import Keeper
from agentctl.up.leaving import tell_drains
from agentctl.up.overview import Overview
from agentctl.up.plan import Plan, Program
from agentctl.up.reload import Reloader
from agentctl.up.stream import Stream
from agentctl.views import Agent

_POLL_SECONDS: Final = 0.1
_MANAGER_SECONDS: Final = 30.0
"""A manager that does not answer for so long is not waited for: the adapters try again by themselves."""
_READY_SECONDS: Final = 15.0
"""How long the block that says that all is up waits for the slowest agent before it says how that one is."""


class Supervisor:
    """Runs a plan until it is ordered to leave, or until nothing is left to run."""

    def __init__(self, plan: Plan, stream: Stream, overview: Overview, *, joining: bool, reloading: bool) -> None:
        self._plan = plan
        self._stream = stream
        self._overview = overview
        self._orders = Orders()
        self._failure: str | None = None
        self._reloading = reloading
        self._manager = None if joining else Keeper(plan.manager, stream, how_to_start="Ctrl-C ends the agents as well")
        self._agents = [
            Keeper(one, stream, how_to_start=f"{plan.again(one.name)} starts it again") for one in plan.agents
        ]

    async def run(self) -> Exit:
        """Run it all and give the exit code.

        Raises:
            CommandFailed: a program ended because its configuration is bad.

        """
        self._orders.obey_signals()
        began = time.monotonic()
        async with asyncio.TaskGroup() as background:
            manager = background.create_task(self._keep_manager())
            await self._until_left(self._manager_answers(), _MANAGER_SECONDS)
            agents = background.create_task(self._keep_agents())
            others = [background.create_task(self._until_left(self._tell_ready(began)))]
            if self._reloading:
                others.append(background.create_task(Reloader(self._agents, self._stream).run()))
            await self._leave(manager, agents)
            for task in others:
                task.cancel()
        if self._failure is not None:
            raise CommandFailed(self._failure, Exit.USAGE)
        return Exit.INTERRUPTED if self._orders.hurry.is_set() else Exit.OK

    async def _leave(self, manager: asyncio.Task[None], agents: asyncio.Task[None]) -> None:
        """Wait for the order and lead everyone out: the agents while the manager still takes their results, then it."""
        async with asyncio.TaskGroup() as group:
            hurrying = group.create_task(self._hurry())
            await self._first_of(self._orders.leave.wait(), self._nothing_left(manager, agents))
            self._orders.leave.set()
            await self._drain(agents)
            if self._manager is not None:
                self._manager.leave()
            await manager
            hurrying.cancel()

    async def _drain(self, agents: asyncio.Task[None]) -> None:
        alive = [keeper.program.name for keeper in self._agents if keeper.alive]
        if alive:
            more = "Ctrl-C again leaves at once and cuts their tasks"
            self._stream.say(f"draining {', '.join(alive)}; {more}")
        for keeper in self._agents:
            keeper.leave()
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(tell_drains(self._agents, self._overview, self._stream, over))
            await agents
            over.set()

    async def _hurry(self) -> None:
        """Obey the second Ctrl-C and the third."""
        await self._orders.hurry.wait()
        self._stream.say("leaving at once, tasks in hand are cut; Ctrl-C once more kills what is left")
        everyone = [*self._agents, *([self._manager] if self._manager else [])]
        async with asyncio.TaskGroup() as group:
            hurrying = [group.create_task(keeper.hurry()) for keeper in everyone]
            await self._orders.kill.wait()
            for task in hurrying:
                task.cancel()
            for keeper in everyone:
                keeper.kill()

    async def _keep_manager(self) -> None:
        if self._manager is not None:
            await self._keep(self._manager)

    async def _keep_agents(self) -> None:
        if self._orders.leave.is_set():
            return
        async with asyncio.TaskGroup() as group:
            for keeper in self._agents:
                group.create_task(self._keep(keeper))

    async def _keep(self, keeper: Keeper) -> None:
        last_words = await keeper.keep()
        if last_words is not None:
            self._failure = self._failure or f"cannot run {keeper.program.name}: {last_words}"
            self._orders.leave.set()

    async def _manager_answers(self) -> None:
        while not await self._overview.is_there():  # noqa: ASYNC110  # another process sets no event of ours
            await asyncio.sleep(_POLL_SECONDS)

    async def _tell_ready(self, began: float) -> None:
        """Say where everything is as soon as no agent is about to be ready."""
        deadline = time.monotonic() + _READY_SECONDS
        agents = await self._overview.agents()
        while agents is not None and not all(_settled(one, agents) for one in self._plan.agents):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(_POLL_SECONDS)
            agents = await self._overview.agents()
        for line in self._plan.skipped:
            self._stream.say(line)
        self._stream.say(banner(self._plan, agents, time.monotonic() - began))

    async def _nothing_left(self, manager: asyncio.Task[None], agents: asyncio.Task[None]) -> None:
        await asyncio.wait({agents} if self._manager is None else {manager, agents})
        self._stream.say("nothing is left to run")

    async def _until_left(self, what: Awaitable[None], seconds: float | None = None) -> None:
        """Wait for something, for so long at most and not beyond the order to leave."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._first_of(what, self._orders.leave.wait())

    @staticmethod
    async def _first_of(*whats: Awaitable[object]) -> None:
        tasks = [asyncio.ensure_future(what) for what in whats]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()


def _settled(program: Program, agents: Mapping[str, Agent]) -> bool:
    """Tell whether an agent is past its start, or has said what keeps it from being."""
    agent = agents.get(program.name)
    return agent is not None and (agent.state in {"running", "paused"} or agent.problem is not None)
