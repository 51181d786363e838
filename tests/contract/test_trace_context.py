"""What crosses with a call: which `traceparent` counts, and what becomes of the three headers."""

import pytest
from agent_contract.tracing import NO_TRACE, Span, TraceContext
from agent_contract.tracing.context import parse

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"00-{TRACE}-{SPAN}-02", False),
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", True),
    ],
)
def test_a_traceparent_is_read_also_of_a_later_version(text: str, *, sampled: bool) -> None:
    """Its bits beside the lowest are the future's."""
    parent = parse(text)
    assert parent is not None
    assert (parent.trace_id, parent.span_id, parent.is_sampled) == (TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01 ",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{chr(0x661) * 32}-{SPAN}-01",
    ],
)
def test_what_breaks_the_rules_is_no_traceparent(text: str) -> None:
    """W3C Trace Context, 2.2.2: a trace begins anew, and nothing of the text reaches a log."""
    assert parse(text) is None
    assert Span([(b"traceparent", text.encode())]).ids == {}


def test_repeated_headers_are_one_list() -> None:
    """`tracestate` and `baggage` may come in several lines."""
    headers = [(b"tracestate", b"a=1"), (b"x", b"y"), (b"tracestate", b"b=2"), (b"baggage", b"who=me")]
    context = TraceContext.of(headers)
    assert context.headers == [(b"tracestate", b"a=1,b=2"), (b"baggage", b"who=me")]
    assert TraceContext.of([(b"x", b"y")]) is NO_TRACE


def test_a_span_that_is_not_recorded_passes_the_headers_on_untouched() -> None:
    """The very list, in its order; and its children are itself."""
    headers = [(b"tracestate", b"a=1"), (b"traceparent", b"nonsense"), (b"tracestate", b"b=2")]
    span = Span(headers)
    assert span.onward(headers) is headers
    assert span.child("POST") is span
    assert not span.recording
    span.fail("nothing")
    span.end()
    assert span.make_current() == {}


def test_the_ids_of_a_caller_are_known_without_tracing() -> None:
    """Its trace, for log lines; not its span, for that is not ours."""
    assert Span([(b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())]).ids == {"trace_id": TRACE}
