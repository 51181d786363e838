"""The way out of `agentctl up`: who is still draining, and for how long yet, while the agents leave."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from agentctl.rows import duration
from agentctl.terminal import one_line
from agentctl.up.keeper import Keeper
from agentctl.up.overview import Overview, drains_of
from agentctl.up.stream import Stream
from agentctl.views import Agent, Drain

_TERMINAL_SECONDS: Final = 1.0
_PLAIN_SECONDS: Final = 5.0


async def tell_drains(keepers: Sequence[Keeper], overview: Overview, stream: Stream, over: asyncio.Event) -> None:
    """Say what holds the drains until they are over: each second in place on a terminal, else a line each 5 s."""
    every = _TERMINAL_SECONDS if stream.in_place else _PLAIN_SECONDS
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every):
                await over.wait()
                break
        agents = await overview.agents() or {}
        told = "; ".join(holds(one.program.name, agents.get(one.program.name)) for one in keepers if one.alive)
        if told and not over.is_set():
            (stream.status if stream.in_place else stream.say)(one_line(f"waiting for {told}"))
    stream.status("")


def holds(name: str, agent: Agent | None) -> str:
    """Give what holds an agent's drain: `executor: 2 tasks, 12s left (eta 5s)`; its name where nobody says."""
    drains = [] if agent is None else drains_of(agent)
    return f"{name}: {', '.join(_drain(one) for one in drains)}" if drains else name


def _drain(view: Drain) -> str:
    count = len(view.blockers)
    eta = "" if view.eta_seconds is None else f" (eta {duration(view.eta_seconds)})"
    return f"{count} task{'' if count == 1 else 's'}, {duration(view.remaining_seconds)} left{eta}"
