"""Agents whose own code records spans, calls on, fails, streams; each says what trace it was told it is in."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from typing import Any

from agent_adapter.agents.context import Context
from opentelemetry import baggage, trace

TRACER = trace.get_tracer("the agent's own")


async def first(parameters: dict[str, Any], context: Context) -> Any:
    """Call another agent from inside a span of its own; fail, or work until a file appears, if told to."""
    if "secret" in parameters:
        raise LookupError(f"no {parameters['secret']}")
    if "gate" in parameters:
        return await _opened(parameters["gate"])
    logging.getLogger("mine").info("before the span")
    with TRACER.start_as_current_span("think"):
        logging.getLogger("mine").info("in the span")
        return await context.call(parameters.get("next", "second"), parameters.get("give", {}))


def second(parameters: dict[str, Any], context: Context) -> dict[str, Any]:
    """Work in a thread, inside a span of its own; a call from there if told to."""
    with TRACER.start_as_current_span("work in a thread"):
        print("in the thread")  # noqa: T201  # agents print
        if "next" in parameters:
            context.call_sync(parameters["next"], {})
        return {
            "traceparent": context.traceparent,
            "tracestate": context.trace.tracestate,
            "baggage": dict(baggage.get_all()),
        }


async def stream(parameters: dict[str, Any]) -> AsyncIterator[int]:
    """Give two numbers, the second when a file appears."""
    yield 1
    await _opened(parameters["gate"])
    yield 2


async def _opened(gate: str) -> None:
    while not os.path.exists(gate):  # noqa: ASYNC110, ASYNC240, PTH110  # another process opens it; this is a test's agent
        await asyncio.sleep(0.01)
