"""Spans over OpenTelemetry: a recorded one, one that was not sampled, and the current one of the running code."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, Final

from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,
    Context,
    attach,
    create_key,
    detach,
    get_current,
    get_value,
    set_value,
)
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from agent_contract.tracing import names
from agent_contract.tracing.context import Headers, Parent, TraceContext, replaced
from agent_contract.tracing.spans import Attributes, Kind, Span

_KINDS: Final = {Kind.INTERNAL: SpanKind.INTERNAL, Kind.SERVER: SpanKind.SERVER, Kind.CLIENT: SpanKind.CLIENT}
_BAGGAGE: Final = W3CBaggagePropagator()
_EMPTY: Final = Context()
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_SPAN_KEY: Final = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, _EMPTY)))
"""Under which OpenTelemetry keeps the current span."""
_TRACE_ID: Final = slice(3, 35)
"""Where it stands in every version of `traceparent`."""
_AS_IT_CAME: Final = create_key("baggage-as-it-came")


class RecordedSpan(Span):
    """A span that is sent when it ends."""

    __slots__ = ("_ended", "_span", "_tracer")

    recording = True

    def __init__(self, tracer: trace.Tracer, span: trace.Span, baggage_header: str | None) -> None:
        super().__init__((), _context_of(span.get_span_context(), baggage_header))
        self._tracer = tracer
        self._span = span
        self._ended = False

    @property
    def ids(self) -> dict[str, str]:
        """Its `trace_id` and `span_id`."""
        return _ids_of(self._span)

    @property
    def sampled_trace_id(self) -> str | None:
        """The id of its trace, if it is sent."""
        known = self._span.get_span_context()
        return f"{known.trace_id:032x}" if known.trace_flags.sampled else None

    def onward(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Give the headers of a call that is made inside it."""
        return replaced(headers, self.context)

    def child(self, name: str, kind: Kind = Kind.INTERNAL, attributes: Attributes | None = None) -> Span:
        """Begin a span inside it."""
        parent = trace.set_span_in_context(self._span, _EMPTY)
        span = self._tracer.start_span(name, parent, _KINDS[kind], attributes)
        return RecordedSpan(self._tracer, span, self.context.baggage)

    def set(self, attributes: Attributes) -> None:
        """Say something of it."""
        if not self._ended:
            self._span.set_attributes(attributes)

    def fail(self, kind: str) -> None:
        """Say that it went wrong, and of what kind that was; never with a message: it may quote a parameter."""
        if not self._ended:
            self._span.set_attribute(names.ERROR_TYPE, kind)
            self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        """End it; a second time changes nothing."""
        if not self._ended:
            self._ended = True
            self._span.end()

    def make_current(self) -> Mapping[str, str]:
        """Make it the current one of OpenTelemetry: what agent code's own instrumentation records is inside it."""
        attach(_with_baggage(trace.set_span_in_context(self._span), self.context.baggage))
        return _NOTHING


class Unsampled(Span):
    """A span that is not sampled: what agent code's own instrumentation begins inside it is not either.

    `traceparent` says so: the caller's, or (`made`) one in the place of it. `has_others`: the caller sent more of the
    three headers.
    """

    __slots__ = ("_has_others", "_made", "_traceparent")

    def __init__(self, given: Headers, traceparent: bytes, made: bool, has_others: bool) -> None:  # noqa: FBT001  # names cost 0.3 us a call
        self._given = given
        self._context = None
        self._traceparent = traceparent
        self._made = made
        self._has_others = has_others

    @property
    def ids(self) -> dict[str, str]:
        """Its `trace_id`."""
        return {"trace_id": self._traceparent[_TRACE_ID].decode("ascii")}

    @property
    def sampled_trace_id(self) -> str | None:
        """None: nobody keeps it."""
        return None

    def onward(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Give the headers of a call that is made inside it."""
        if not self._made:
            return headers
        if not self._has_others:
            return [*headers, (b"traceparent", self._traceparent)]
        return replaced(headers, self.context)

    def make_current(self) -> Mapping[str, str]:
        """Make the decision the current one of OpenTelemetry."""
        context = Context({_SPAN_KEY: _Unread(self)})
        attach(_with_baggage(context, self.context.baggage) if self._has_others else context)
        return _NOTHING

    def _read(self) -> TraceContext:
        given = TraceContext.of(self._given)
        if not self._made:
            return given
        made = self._traceparent.decode("ascii")
        return TraceContext(made, None if given.parent is None else given.tracestate, given.baggage)


class _Unread(NonRecordingSpan):
    """What OpenTelemetry sees of a span that is not sampled: taken apart only if something asks."""

    def __init__(self, span: Unsampled) -> None:
        self._of = span
        self._known: SpanContext | None = None

    def get_span_context(self) -> SpanContext:
        """Give its context."""
        if self._known is None:
            context = self._of.context
            parent = context.parent
            self._known = INVALID_SPAN_CONTEXT if parent is None else _remote(parent, context.tracestate)
        return self._known


class CurrentSpan:
    """What OpenTelemetry knows of the running code (ambient.Source)."""

    def ids(self) -> dict[str, str]:
        """Give the current span's ids."""
        return _ids_of(trace.get_current_span())

    def context(self) -> TraceContext | None:
        """Give what a call that is made now passes on: the current span, and the baggage as agent code left it."""
        current = trace.get_current_span().get_span_context()
        if not current.is_valid:
            return None
        return _context_of(current, _baggage_header())

    def continuing(self, context: TraceContext) -> AbstractContextManager[Any]:
        """Make another process's span the current one."""
        parent = context.parent
        if parent is None:
            return _Attached(get_current())
        span = remote(parent, context.tracestate)
        return _Attached(_with_baggage(trace.set_span_in_context(span), context.baggage))

    def unobserved(self) -> AbstractContextManager[Any]:
        """Tell instrumentation to look away."""
        return _Attached(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))


def remote(parent: Parent, tracestate: str | None) -> trace.Span:
    """Give the span of another process: it can be a parent."""
    return NonRecordingSpan(_remote(parent, tracestate))


def _remote(parent: Parent, tracestate: str | None) -> SpanContext:
    state = TraceState.from_header([tracestate]) if tracestate else TraceState.get_default()
    flags = TraceFlags(int(parent.flags, 16))
    return SpanContext(
        int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=flags, trace_state=state
    )


class _Attached:
    """A `with` block in which a context is OpenTelemetry's current one."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = attach(self._context)

    def __exit__(self, *_: object) -> None:
        detach(self._token)


def _with_baggage(context: Context, header: str | None) -> Context:
    if not header:
        return context
    read = _BAGGAGE.extract({"baggage": header}, context)
    return set_value(_AS_IT_CAME, (header, dict(baggage.get_all(read))), read)


def _baggage_header() -> str | None:
    """Give the baggage of the running code: as it came, unless agent code has changed it."""
    entries = dict(baggage.get_all())
    came: Any = get_value(_AS_IT_CAME)
    if came is not None and came[1] == entries:
        return str(came[0])
    carrier: dict[str, str] = {}
    _BAGGAGE.inject(carrier)
    return carrier.get("baggage")


def _context_of(span: SpanContext, baggage_header: str | None) -> TraceContext:
    traceparent = f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
    return TraceContext(traceparent, span.trace_state.to_header() or None, baggage_header)


def _ids_of(span: trace.Span) -> dict[str, str]:
    known = span.get_span_context()
    if not known.is_valid:
        return {}
    ids = {"trace_id": f"{known.trace_id:032x}"}
    if span.is_recording():
        ids["span_id"] = f"{known.span_id:016x}"
    return ids
