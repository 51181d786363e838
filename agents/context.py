"""What an agent here uses of the `context` that its adapter hands it: a shape to check types against, no code."""

from collections.abc import Mapping
from typing import Any, NoReturn, Protocol


class Context(Protocol):
    """One task, as the agent sees it."""

    def report_progress(self, fraction: float, message: str) -> None:
        """Say how far the task is: `fraction` from 0 to 1, and a line for people."""

    def reject(self, detail: str, field: str | None = None) -> NoReturn:
        """Leave, because the caller is mistaken: `field` is the path of the place to blame."""

    async def call(self, agent_id: str, parameters: Mapping[str, Any]) -> Any:  # noqa: ANN401  # any agent's own result
        """Give the result of another agent, called through the manager within this task's deadline."""
