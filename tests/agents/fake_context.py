"""The edge of an agent's world in these tests: what an adapter would hand it, with other agents in the same process."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

OtherAgent = Callable[[Mapping[str, Any]], Awaitable[Any]]


class Rejected(Exception):  # noqa: N818  # what happened, not what failed
    """The agent said that the caller is mistaken."""

    def __init__(self, detail: str, field: str | None) -> None:
        super().__init__(detail)
        self.field = field


class FakeContext:
    """Writes down what the agent says; `others` answer its calls."""

    def __init__(self, others: Mapping[str, OtherAgent] | None = None) -> None:
        self.others = others or {}
        self.progress: list[tuple[float, str]] = []
        self.progressed = asyncio.Event()

    def report_progress(self, fraction: float, message: str) -> None:
        """Keep the report."""
        self.progress.append((fraction, message))
        self.progressed.set()

    def reject(self, detail: str, field: str | None = None) -> NoReturn:
        """Raise Rejected, as an adapter's context leaves the agent."""
        raise Rejected(detail, field)

    async def call(self, agent_id: str, parameters: Mapping[str, Any]) -> Any:
        """Give the other agent's answer."""
        return await self.others[agent_id](parameters)
