"""Spans as this code sees them.

Those here record nothing and pass on what came: tracing is off, or the call is not sampled. The recorded ones are in
`recorded`, with the same methods.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from msgspec import UNSET, UnsetType

from agent_contract.tracing.context import Headers, Parent, TraceContext, find_traceparent, parse

Attributes = Mapping[str, str | int | float | bool]


class Kind(Enum):
    """A span's place in a call: who asks, who answers, what happens between."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2


class Span:
    """A span that is not recorded. Every method of it costs next to nothing."""

    __slots__ = ("_context", "_given", "_parent")

    recording = False
    """Whether it is recorded: ask before attributes are put together."""

    def __init__(self, given: Headers = (), context: TraceContext | None = None) -> None:
        self._given = given
        self._context = context
        self._parent: Parent | UnsetType | None = UNSET

    @property
    def context(self) -> TraceContext:
        """What is passed on from inside it."""
        if self._context is None:
            self._context = self._read()
        return self._context

    @property
    def ids(self) -> dict[str, str]:
        """What log lines about it carry: `trace_id`, also where only the caller has one, and `span_id` if recorded."""
        parent = self._caller()
        return {} if parent is None else {"trace_id": parent.trace_id}

    @property
    def sampled_trace_id(self) -> str | None:
        """The id of its trace, if somebody keeps that: what a metric's exemplar may lead to."""
        parent = self._caller()
        return parent.trace_id if parent is not None and parent.is_sampled else None

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

    def make_current(self) -> Mapping[str, str]:
        """Make it the current one of this task or thread, from now on, and of what begins there.

        Gives the ids that log lines do not find by themselves then.
        """
        return self.ids

    def _caller(self) -> Parent | None:
        if isinstance(self._parent, UnsetType):
            found = self._context.traceparent if self._context is not None else find_traceparent(self._given)[0]
            self._parent = (
                None if found is None else parse(found if isinstance(found, str) else found.decode("latin-1"))
            )
        return self._parent

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
