"""An agent that gives its parameters back, for trying the adapter without the agent's code."""

import asyncio
from typing import Any, Final

from agent_contract.wire import ProblemState

from agent_adapter.agents.agent import Emit
from agent_adapter.agents.context import Context
from agent_adapter.agents.encoding import encode
from agent_adapter.errors import Rejected

_MOST_CHUNKS: Final = 10_000


class DummyAgent:
    """Knobs: `sleepSeconds` before it answers (spread over the chunks), `chunks` to stream, `fail`."""

    streams = True
    cancels = True
    parameters_schema: dict[str, Any] | None = None
    problem: ProblemState | None = None

    async def start(self) -> None:
        """Be ready at once."""

    async def close(self) -> None:
        """Hold nothing."""

    def accept(self, parameters: dict[str, Any]) -> Any:  # noqa: ANN401  # as the protocol says
        """Check the knobs."""
        sleep, chunks, fail = (parameters.get(knob) for knob in ("sleepSeconds", "chunks", "fail"))
        if sleep is not None and (isinstance(sleep, bool) or not isinstance(sleep, int | float) or sleep < 0):
            raise Rejected("sleepSeconds must be a number from 0", "parameters.sleepSeconds")
        if chunks is not None and (type(chunks) is not int or not 0 <= chunks <= _MOST_CHUNKS):
            raise Rejected(f"chunks must be a whole number from 0 to {_MOST_CHUNKS}", "parameters.chunks")
        if fail is not None and not isinstance(fail, bool):
            raise Rejected("fail must be true or false", "parameters.fail")
        return parameters

    async def run(self, parameters: Any, context: Context, emit: Emit) -> bytes:  # noqa: ANN401  # what accept gave
        """Sleep, stream, fail or give the parameters back."""
        sleep, chunks = float(parameters.get("sleepSeconds") or 0), parameters.get("chunks") or 0
        for number in range(chunks):
            await asyncio.sleep(sleep / chunks)
            await emit(encode({"chunk": number}))
            context.report_progress((number + 1) / chunks)
        if sleep and not chunks:
            await asyncio.sleep(sleep)
        if parameters.get("fail"):
            raise RuntimeError("told to fail")
        return b"" if chunks else encode(parameters)
