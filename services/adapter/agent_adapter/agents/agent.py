"""What the adapter needs of an agent, whatever it is made of."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from agent_contract.wire import ProblemState

from agent_adapter.agents.context import Context

Emit = Callable[[bytes], Awaitable[None]]
"""Takes one chunk, as JSON text; waits while its reader lags."""


class Agent(Protocol):
    """An agent that runs tasks. Parameters come as decoded JSON, results go as JSON text."""

    @property
    def streams(self) -> bool:
        """Whether it yields chunks before its result."""

    @property
    def cancels(self) -> bool:
        """Whether a cancelled task can be told of it."""

    @property
    def parameters_schema(self) -> dict[str, Any] | None:
        """The JSON Schema (2020-12) of its parameters, or None when nobody said."""

    @property
    def problem(self) -> ProblemState | None:
        """What keeps it from working at present, or None."""

    async def start(self) -> None:
        """Make it ready; raises StartFailed when it cannot be."""

    async def close(self) -> None:
        """Let go of what it holds; bounded in time by the caller."""

    def accept(self, parameters: dict[str, Any]) -> Any:  # noqa: ANN401  # the form that the agent annotated
        """Give the parameters in the form that the agent wants; raises Rejected."""

    async def run(self, parameters: Any, context: Context, emit: Emit) -> bytes:  # noqa: ANN401  # what accept gave
        """Do one task and give its result as JSON text; raises Rejected, Problem, or what the agent's code raises."""
