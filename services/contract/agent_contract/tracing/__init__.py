"""Traces: the W3C context that crosses with every call, and spans where OpenTelemetry is configured.

Nothing here imports OpenTelemetry before `load` finds it configured: see `loading`.
"""

from agent_contract.tracing.ambient import continuing, current_context, unobserved
from agent_contract.tracing.context import NO_TRACE, TraceContext
from agent_contract.tracing.loading import load
from agent_contract.tracing.spans import OFF, UNTRACED, Kind, Span, Tracing

__all__ = [
    "NO_TRACE",
    "OFF",
    "UNTRACED",
    "Kind",
    "Span",
    "TraceContext",
    "Tracing",
    "continuing",
    "current_context",
    "load",
    "unobserved",
]
