"""What crosses with a call so that spans of many processes are one trace (W3C Trace Context, W3C Baggage)."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from msgspec import Struct

Headers = Iterable[tuple[bytes, bytes]]

TRACE_HEADERS: Final = frozenset((b"traceparent", b"tracestate", b"baggage"))

_ODD: Final = "13579bdf"
_VERSION_0: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
DECLINED: Final = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f][02468ace]")
"""A `traceparent` whose sender does not record. The hot path: `parse` takes it, and all others, apart."""
_LATER_VERSIONS: Final = re.compile(
    r"(?!00|ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)


class Parent(NamedTuple):
    """A `traceparent` taken apart, as its own hexadecimal texts."""

    trace_id: str
    span_id: str
    flags: str

    @property
    def is_sampled(self) -> bool:
        """Whether who sent it records its part: the lowest bit."""
        return self.flags[1] in _ODD


class TraceContext(Struct, frozen=True):
    """The three headers of a call, each as it came or None."""

    traceparent: str | None = None
    tracestate: str | None = None
    baggage: str | None = None

    @classmethod
    def of(cls, headers: Headers) -> "TraceContext":
        """Give the context in these headers, named in lower case; repeated ones are one list (RFC 9110, 5.3)."""
        found: dict[bytes, bytes] = {}
        for name, value in headers:
            if name in TRACE_HEADERS:
                found[name] = b"%b,%b" % (found[name], value) if name in found else value
        if not found:
            return NO_TRACE
        return cls(*(_text(found.get(name)) for name in (b"traceparent", b"tracestate", b"baggage")))

    @property
    def parent(self) -> Parent | None:
        """The `traceparent` taken apart; None where there is none, or one that is none by its rules."""
        return None if self.traceparent is None else parse(self.traceparent)

    @property
    def sampled_trace_id(self) -> str | None:
        """The id of its trace, if somebody keeps that: what a metric's exemplar may lead to."""
        parent = self.parent
        return parent.trace_id if parent is not None and parent.is_sampled else None

    @property
    def texts(self) -> dict[str, str]:
        """The headers as texts, those that are there."""
        named = {"traceparent": self.traceparent, "tracestate": self.tracestate, "baggage": self.baggage}
        return {name: value for name, value in named.items() if value}

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as bytes, those that are there."""
        return [(name.encode(), value.encode("latin-1")) for name, value in self.texts.items()]


NO_TRACE: Final = TraceContext()


def replaced(headers: list[tuple[bytes, bytes]], context: TraceContext) -> list[tuple[bytes, bytes]]:
    """Give the headers with these three in the place of those that are among them."""
    return [header for header in headers if header[0] not in TRACE_HEADERS] + context.headers


def find_traceparent(headers: Headers) -> tuple[bytes | None, bool]:
    """Give the `traceparent`, and whether one of the other two is there. The hot path: nothing else is read of them."""
    found, others = None, False
    for name, value in headers:
        if name in TRACE_HEADERS:
            if name != b"traceparent":
                others = True
            else:
                found = value if found is None else b""  # two of them are none
    return found, others


def parse(traceparent: str) -> Parent | None:
    """Give a `traceparent` taken apart, or None for one to be ignored (W3C Trace Context, 2.2)."""
    match = _VERSION_0.fullmatch(traceparent) or _LATER_VERSIONS.fullmatch(traceparent)
    return None if match is None else Parent(*match.groups())


def _text(value: bytes | None) -> str | None:
    return value.decode("latin-1") if value else None
