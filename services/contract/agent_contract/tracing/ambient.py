"""The current span of the running code: that of a task, or one that agent code began inside it.

It is the process's own, as OpenTelemetry's is; without OpenTelemetry there never is one.
"""

import contextlib
from contextlib import AbstractContextManager
from typing import Any, Protocol

from agent_contract.tracing.context import TraceContext


class Source(Protocol):
    """Knows the current span."""

    def ids(self) -> dict[str, str]:
        """Give `trace_id`, and `span_id` if it is recorded; nothing where there is none."""

    def context(self) -> TraceContext | None:
        """Give what a call that is made now passes on, or None."""

    def continuing(self, context: TraceContext) -> AbstractContextManager[Any]:
        """Make another process's span the current one."""

    def unobserved(self) -> AbstractContextManager[Any]:
        """Tell instrumentation to look away."""


_sources: list[Source] = []


def use(source: Source) -> None:
    """Ask this one from now on."""
    _sources[:] = [source]


def current_ids() -> dict[str, str]:
    """Give the `trace_id` and `span_id` of the current span, as far as there is one: for log lines."""
    return _sources[0].ids() if _sources else {}


def current_context() -> TraceContext | None:
    """Give what a call that is made now passes on; None: the caller knows better."""
    return _sources[0].context() if _sources else None


def continuing(context: TraceContext) -> AbstractContextManager[Any]:
    """Make the span of another process the current one for a `with` block, if it sent one."""
    return _sources[0].continuing(context) if _sources else contextlib.nullcontext()


def unobserved() -> AbstractContextManager[Any]:
    """Keep what a `with` block does out of traces, also where agent code has instrumented the library that does it."""
    return _sources[0].unobserved() if _sources else contextlib.nullcontext()
