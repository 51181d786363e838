"""Spans as this code sees them.

Those here record nothing and pass on what came: tracing is off, or the call is not sampled. The recorded ones are in
`recorded`, with the same methods.
"""

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from agent_contract.tracing.context import Headers, TraceContext

Attributes = Mapping[str, str | int | float | bool]

_NOTHING: Final = contextlib.nullcontext()


class Kind(Enum):
    """A span's place in a call: who asks, who answers, what happens between."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2


class Span:
    """A span that is not recorded. Every method of it costs next to nothing."""

    __slots__ = ("_context", "_given")

    recording = False
    """Whether it is recorded: ask before attributes are put together."""

    def __init__(self, given: Headers = (), context: TraceContext | None = None) -> None:
        self._given = given
        self._context = context

    @property
    def context(self) -> TraceContext:
        """What is passed on from inside it."""
        if self._context is None:
            self._context = self._read()
        return self._context

    @property
    def ids(self) -> dict[str, str]:
        """What log lines about it carry: `trace_id`, also where only the caller has one, and `span_id` if recorded."""
        parent = self.context.parent
        return {} if parent is None else {"trace_id": parent.trace_id}

    @property
    def sampled_trace_id(self) -> str | None:
        """The id of its trace, if somebody keeps that: what a metric's exemplar may lead to."""
        return self.context.sampled_trace_id

    def onward(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Give the headers of a call that is made inside it; the caller's own three are among those given."""
        return headers

    def child(self, name: str, kind: Kind = Kind.INTERNAL, attributes: Attributes | None = None) -> "Span":  # noqa: ARG002  # what recorded ones take
        """Begin a span inside it."""
        return self

    def set(self, attributes: Attributes) -> None:
        """Say something of it."""

    def fail(self, kind: str) -> None:
        """Say that it went wrong; `kind` is `error.type`: a status, a code or a class, never a message."""

    def end(self) -> None:
        """End it; a second time changes nothing."""

    def current(self) -> AbstractContextManager[Any]:
        """Make it the current one for the code of a `with` block, and for threads and tasks that begin there."""
        return _NOTHING

    def _read(self) -> TraceContext:
        return TraceContext.of(self._given)


class Tracing:
    """Begins spans. This one records none: tracing is not configured."""

    for_child: Mapping[str, str] = MappingProxyType({})
    """What the environment of a child process of ours needs so that it records as this one."""

    def server(self, name: str, headers: Headers) -> Span:  # noqa: ARG002  # what recording ones take
        """Begin the span of a request; `name` is its method and its route's template, never its path."""
        return Span(headers)

    def close(self, seconds: float) -> None:
        """Send what was recorded, within so many seconds, and record no more."""


UNTRACED: Final = Span()
OFF: Final = Tracing()
