"""What the manager says while `agentctl up` runs: whether it is there, which agents work, what holds their drains."""

import asyncio

from agentctl.client import Manager
from agentctl.connection import api_key
from agentctl.failures import CommandFailed
from agentctl.route import Direct
from agentctl.views import Agent, Drain, members, read
from agentctl.watch import FLEET

_ANSWER_SECONDS = 2.0
"""It runs on this machine; a manager that is slower than this is not waited for, the next question comes soon."""


class Overview:
    """Asks one manager, in a thread, so that nothing of `agentctl up` waits for it."""

    def __init__(self, url: str) -> None:
        self._manager = Manager(Direct(url), api_key())

    async def is_there(self) -> bool:
        """Tell whether the manager answers."""
        return await asyncio.to_thread(self._is_there)

    async def agents(self) -> dict[str, Agent] | None:
        """Give the agents of its listing by id; None where it does not give one (it is away, or wants another key)."""
        return await asyncio.to_thread(self._agents)

    async def is_manager(self) -> bool:
        """Tell whether what answers there is an agent manager."""
        return await asyncio.to_thread(self._is_manager)

    def _is_there(self) -> bool:
        try:
            self._manager.send("GET", "/health", answer_seconds=_ANSWER_SECONDS)
        except CommandFailed:
            return False
        return True

    def _agents(self) -> dict[str, Agent] | None:
        try:
            listing = self._manager.send("GET", FLEET, answer_seconds=_ANSWER_SECONDS).json()
            views = [read(raw, Agent) for raw in members(listing, "agents")]
        except CommandFailed:
            return None
        return {view.id: view for view in views}

    def _is_manager(self) -> bool:
        try:
            answer = self._manager.send("GET", "/api/version", answer_seconds=_ANSWER_SECONDS).json()
        except CommandFailed as failure:
            return failure.code in {"unauthenticated", "forbidden"}
        return isinstance(answer, dict) and "version" in answer


def drains_of(agent: Agent) -> list[Drain]:
    """Give the drains that are under way at an agent's instances."""
    return [one.drain for one in agent.instances if one.drain is not None and one.drain.reason is not None]
