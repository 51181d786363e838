"""Recording: what is sampled, under which ids, what is passed on where it is not, and what agent code does inside."""

import threading
from collections.abc import Callable
from contextvars import copy_context

import pytest
from agent_contract.tracing import Span, Tracing
from agent_contract.tracing.recorded import CurrentSpan
from agent_contract.tracing.sdk import ChosenIds, RecordingTracing
from opentelemetry import baggage
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, get_value
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    ParentBasedTraceIdRatio,
    Sampler,
    TraceIdRatioBased,
)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RATIO = 0.5


class Recorder:
    """A tracing of its own, whose spans stay in memory; nothing of it is the process's."""

    def __init__(self, sampler: Sampler) -> None:
        ids = ChosenIds()
        self.provider = TracerProvider(sampler, id_generator=ids, shutdown_on_exit=False)
        self.sent = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self.sent))
        self.tracing: Tracing = RecordingTracing(self.provider, ids, [], threading.Event())

    def begin(self, flags: str | None = None, **headers: str) -> Span:
        """Begin the span of a request, of a caller who recorded or not, or without one."""
        given = {} if flags is None else {"traceparent": f"00-{TRACE}-{SPAN}-{flags}"}
        return self.tracing.server("POST /x", [(k.encode(), v.encode()) for k, v in {**given, **headers}.items()])

    def names(self) -> list[str]:
        """Give the names of what was sent."""
        return [span.name for span in self.sent.get_finished_spans()]


@pytest.mark.parametrize(
    ("sampler", "flags", "recorded"),
    [
        (DEFAULT_ON, None, True),
        (DEFAULT_ON, "01", True),
        (DEFAULT_ON, "00", False),
        (DEFAULT_OFF, None, False),
        (DEFAULT_OFF, "01", True),
        (ALWAYS_ON, "00", True),
        (ALWAYS_OFF, "01", False),
        (ParentBasedTraceIdRatio(0.0), None, False),
        (ParentBasedTraceIdRatio(0.0), "01", True),
        (TraceIdRatioBased(0.0), "01", False),
    ],
)
def test_the_sampler_decides(sampler: Sampler, flags: str | None, *, recorded: bool) -> None:
    """What it lets through is recorded; of the rest no span is made, and its decision is passed on."""
    recorder = Recorder(sampler)
    span = recorder.begin(flags)
    parent = span.context.parent
    assert parent is not None
    assert (span.recording, parent.is_sampled) == (recorded, recorded)
    assert parent.trace_id == TRACE or flags is None
    span.child("inside").end()
    span.end()
    assert recorder.names() == (["inside", "POST /x"] if recorded else [])


def test_a_request_is_recorded_under_the_id_that_was_sampled() -> None:
    """A share is one of trace ids, so that every process decides the same; and the id of one is not the next one's."""
    recorder = Recorder(ParentBasedTraceIdRatio(RATIO))
    spans = [recorder.begin() for _ in range(200)]
    bound = int(RATIO * 2**64)
    ids = [int(span.ids["trace_id"], 16) for span in spans]
    assert [span.recording for span in spans] == [each % 2**64 < bound for each in ids]
    assert len(set(ids)) == 200
    assert {span.recording for span in spans} == {True, False}


def test_what_is_declined_replaces_the_callers_headers_and_keeps_its_baggage() -> None:
    """A caller that recorded is told so no more by those behind us; one whose header is nonsense begins anew."""
    for sampler, given in ((ALWAYS_OFF, f"00-{TRACE}-{SPAN}-01"), (DEFAULT_OFF, "nonsense")):
        headers = [(b"x", b"y"), (b"traceparent", given.encode()), (b"baggage", b"who=me")]
        span = Recorder(sampler).tracing.server("POST /x", headers)
        onward = dict(span.onward(headers))
        assert onward[b"traceparent"].endswith(b"-00")
        assert (onward[b"x"], onward[b"baggage"], len(onward)) == (b"y", b"who=me", 3)


@pytest.mark.parametrize("flags", ["00", "01"])
def test_agent_code_records_inside_its_task_and_only_if_that_is_recorded(flags: str) -> None:
    """What it begins itself is a child, or is not sampled either."""
    recorder = Recorder(DEFAULT_ON)
    span = recorder.begin(flags)
    tracer = recorder.provider.get_tracer("the agent's own")

    def work() -> None:
        assert span.make_current() == {}
        with tracer.start_as_current_span("own") as own:
            assert own.is_recording() == span.recording
            assert CurrentSpan().ids()["trace_id"] == TRACE
            current = CurrentSpan().context()
        assert current is not None
        assert current.parent is not None
        assert current.parent.is_sampled == span.recording

    copy_context().run(work)
    span.end()
    assert recorder.names() == ([] if flags == "00" else ["own", "POST /x"])
    assert CurrentSpan().context() is None


def test_baggage_goes_on_as_it_came_unless_agent_code_changes_it() -> None:
    """Reading and writing it again would lose properties and spell it differently."""

    def passed_on(flags: str, change: Callable[[], object]) -> str:
        Recorder(DEFAULT_ON).begin(flags, baggage="who=me;p=1, x=a%20b").make_current()
        change()
        context = CurrentSpan().context()
        assert context is not None
        return context.baggage or ""

    def add() -> None:
        attach(baggage.set_baggage("more", "1"))

    for flags in ("00", "01"):
        assert copy_context().run(passed_on, flags, lambda: None) == "who=me;p=1, x=a%20b"
        changed = copy_context().run(passed_on, flags, add)
        assert "more=1" in changed
        assert "who=me" in changed


def test_what_is_unobserved_is_hidden_from_instrumentation() -> None:
    """By the key that OpenTelemetry's own exporters use: what agent code has instrumented looks for it."""
    with CurrentSpan().unobserved():
        assert get_value(_SUPPRESS_INSTRUMENTATION_KEY) is True
    assert get_value(_SUPPRESS_INSTRUMENTATION_KEY) is None


def test_a_span_that_has_ended_takes_nothing_more() -> None:
    """Code that goes on after its task was cut off is no reason for a warning of the library."""
    recorder = Recorder(DEFAULT_ON)
    span = recorder.begin("01")
    span.fail("task-timeout")
    for _ in range(2):
        span.end()
        span.set({"late": 1})
        span.fail("late")
    (sent,) = recorder.sent.get_finished_spans()
    assert dict(sent.attributes or {}) == {"error.type": "task-timeout"}
    assert not sent.status.is_ok
    assert sent.status.description is None
