"""A collector: a real OTLP receiver over HTTP, which keeps what it is sent, and can refuse or hang."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from agent_contract.asgi import Receive, Scope, Send, read_body, send_answer
from agent_contract.serving import Server, listen
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

PATIENCE_SECONDS: Final = 20.0
CLIENT: Final = "b7ad6b7169203331"
"""The span of the tests' own client."""
KINDS: Final = {1: "internal", 2: "server", 3: "client"}
_FAILED: Final = 2


def traceparent(number: int, flags: str = "01") -> tuple[str, str]:
    """Give a trace id of a test's own, and the header of the client's span in it."""
    trace_id = f"{number:032x}"
    return trace_id, f"00-{trace_id}-{CLIENT}-{flags}"


class Received(NamedTuple):
    """A span as it arrived."""

    service: str
    instance: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    tracestate: str
    attributes: dict[str, Any]
    failed: bool
    began: int
    ended: int


class Collector:
    """Keeps the spans of every batch; `answers` is the status that it gives, None for never."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.bodies: list[bytes] = []
        self.asked = 0
        self.headers: dict[str, str] = {}
        self.answers: int | None = 200
        self.port = 0
        self._news = asyncio.Event()

    @property
    def url(self) -> str:
        """Its endpoint, as `OTEL_EXPORTER_OTLP_ENDPOINT` wants it."""
        return f"http://127.0.0.1:{self.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a batch."""
        if scope["type"] == "lifespan":
            for _ in range(2):
                await send({"type": f"{(await receive())['type']}.complete"})
            return
        assert (scope["method"], scope["path"]) == ("POST", "/v1/traces")
        self.headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked += 1
        self._news.set()
        body = await read_body(receive, 1 << 24)
        if self.answers is None:
            await asyncio.Event().wait()
        elif self.answers == 200:
            self.bodies.append(body)
            self.spans += _read(body)
        self._news.set()
        await send_answer(send, self.answers or 0, [(b"content-type", b"application/x-protobuf")], b"")

    async def until(self, holds: Callable[["Collector"], bool], what: str) -> None:
        """Return when something holds of what has come."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not holds(self):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"did not come: {what}; there are {[one.name for one in self.spans]}") from None

    async def trace(self, trace_id: str, count: int) -> "Trace":
        """Give a trace once so many spans of it have come."""
        await self.until(lambda _: len(self.of(trace_id)) >= count, f"{count} spans of {trace_id}")
        return Trace(self.of(trace_id))

    def of(self, trace_id: str) -> list[Received]:
        """Give the spans of a trace so far."""
        return [span for span in self.spans if span.trace_id == trace_id]


class Trace:
    """The spans of one trace."""

    def __init__(self, spans: list[Received]) -> None:
        self.spans = sorted(spans, key=lambda span: span.began)

    def one(self, name: str, service: str | None = None) -> Received:
        """Give the only span of that name, of that service."""
        (found,) = [one for one in self.spans if one.name == name and service in (None, one.service)]
        return found

    def inside(self, parent: Received) -> list[Received]:
        """Give the spans directly inside one, in the order in which they began."""
        return [one for one in self.spans if one.parent_id == parent.span_id]

    def outline(self, of: str, depth: int = 0) -> list[str]:
        """Give `service: name` of everything inside a span id, each two blanks deeper than what it is in."""
        lines: list[str] = []
        for span in self.spans:
            if span.parent_id == of:
                lines.append("  " * depth + f"{span.service}: {span.name}")
                lines += self.outline(span.span_id, depth + 1)
        return lines


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """Run a collector until the block ends."""
    collector = Collector()
    sockets = listen("127.0.0.1", 0)
    collector.port = sockets[0].getsockname()[1]
    server = Server(collector, sockets)
    await server.start()
    try:
        yield collector
    finally:
        server.abort()
        await server.leave()


def _read(body: bytes) -> Iterator[Received]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        process = _attributes(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Received(
                    service=process["service.name"],
                    instance=process["service.instance.id"],
                    name=span.name,
                    kind=KINDS[span.kind],
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    tracestate=span.trace_state,
                    attributes=_attributes(span.attributes),
                    failed=span.status.code == _FAILED,
                    began=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    def value(pair: KeyValue) -> Any:
        return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")

    return {pair.key: value(pair) for pair in pairs}
