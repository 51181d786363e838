"""Recording with OpenTelemetry's SDK: made from its own variables, sampled before a span is made."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import SpanKind
from opentelemetry.util.re import parse_env_headers

from agent_contract import __version__
from agent_contract.shown import shown_url
from agent_contract.tracing import ambient
from agent_contract.tracing.context import DECLINED, Headers, TraceContext, find_traceparent, parse
from agent_contract.tracing.delivery import Delivery, Overheard
from agent_contract.tracing.loading import ENDPOINTS, EXPORTER, HEADERS, for_child
from agent_contract.tracing.recorded import CurrentSpan, RecordedSpan, Unsampled, remote
from agent_contract.tracing.spans import Span, Tracing

_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_NOISY: Final = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")
_CALLERS: Final = ("opentelemetry.baggage.propagation", "opentelemetry.trace.span")
"""They warn of each header of a caller that breaks a rule, and quote it."""
_OF_HEADERS: Final = "opentelemetry.util.re"
"""It quotes a header of ours that it cannot read, and that is a secret."""
_VERSION: Final = "service.version"

log = logging.getLogger(__name__)


class ChosenIds(RandomIdGenerator):
    """Ids by chance, but for the trace id of a span that was already sampled under one."""

    def __init__(self) -> None:
        self._chosen = threading.local()  # agent code begins spans in threads of its own

    def begin(self, trace_id: int | None) -> None:
        """Give this trace id next in this thread; None: by chance again."""
        self._chosen.trace_id = trace_id

    def generate_trace_id(self) -> int:
        """Give a trace id."""
        return getattr(self._chosen, "trace_id", None) or super().generate_trace_id()


class RecordingTracing(Tracing):
    """Begins spans that are sent to a collector. What is not sampled is decided here, before a span is made of it."""

    def __init__(
        self, provider: TracerProvider, ids: ChosenIds, deliveries: list[Delivery], news: threading.Event
    ) -> None:
        self._provider = provider
        self._ids = ids
        self._random = RandomIdGenerator()
        self._deliveries = deliveries
        self._news = news
        self._sampler = provider.sampler
        self._follows_parent = isinstance(provider.sampler, ParentBased)
        self._samples_root = _root_decision(provider.sampler)
        self._tracer = provider.get_tracer("agent_contract", __version__)

    def server(self, name: str, headers: Headers) -> Span:
        """Begin the span of a request: recorded if it is sampled, else one that passes the decision on."""
        found, others = find_traceparent(headers)
        if found is None:
            return self._root(name, headers, has_others=others)
        if self._follows_parent and DECLINED.fullmatch(found):
            return Unsampled(headers, found, False, others)
        parent = parse(found.decode("latin-1"))
        if parent is None:
            return self._root(name, headers, has_others=True)
        if self._follows_parent and not parent.is_sampled:
            return Unsampled(headers, found, False, others)
        given = TraceContext.of(headers)
        context = trace.set_span_in_context(remote(parent, given.tracestate), Context())
        if not self._follows_parent:
            decided = self._sampler.should_sample(context, int(parent.trace_id, 16), name, SpanKind.SERVER)
            if decided.decision is Decision.DROP:
                refused = f"00-{parent.trace_id}-{parent.span_id}-00".encode()
                return Unsampled(headers, refused, True, True)
        return self._begin(name, context, given.baggage)

    def close(self, seconds: float) -> None:
        """Send what waits, within so many seconds; a collector that is away is not waited for."""
        give_up = time.monotonic() + seconds
        sending = threading.Thread(target=self._send_rest, name="last spans", daemon=True)
        sending.start()
        while sending.is_alive() and not self._away and (left := give_up - time.monotonic()) > 0:
            self._news.wait(left)
            self._news.clear()

    @property
    def _away(self) -> bool:
        return all(delivery.failing or delivery.hangs for delivery in self._deliveries)

    def _send_rest(self) -> None:
        self._provider.shutdown()
        self._news.set()

    def _root(self, name: str, headers: Headers, *, has_others: bool) -> Span:
        number = self._random.generate_trace_id()
        if not self._samples_root(number):
            made = b"00-%032x-%016x-00" % (number, self._random.generate_span_id())
            return Unsampled(headers, made, True, has_others)
        self._ids.begin(number)
        try:
            return self._begin(name, Context(), TraceContext.of(headers).baggage if has_others else None)
        finally:
            self._ids.begin(None)

    def _begin(self, name: str, parent: Context, baggage: str | None) -> Span:
        span = self._tracer.start_span(name, parent, SpanKind.SERVER)
        return RecordedSpan(self._tracer, span, baggage)


def record(service: str, instance_id: str, variables: Mapping[str, str], version: str | None = None) -> Tracing:
    """Give the tracing that the variables describe, and make it the process's: agent code's own spans go there too.

    `variables` says which exporters, and holds the headers, which agent code does not see; the SDK reads everything
    else from the process's environment. Raises what the SDK raises for values that it does not take, and LookupError
    for an exporter that is not installed.
    """
    ids = ChosenIds()
    provider = TracerProvider(
        resource=_resource(service, instance_id, version), id_generator=ids, shutdown_on_exit=False
    )
    news = threading.Event()
    deliveries = []
    logging.getLogger(_OF_HEADERS).setLevel(logging.ERROR)
    for name in _exporters(variables):
        delivery = Delivery(_exporter(name, variables), _destination(name, variables), on_failure=news.set)
        deliveries.append(delivery)
        provider.add_span_processor(BatchSpanProcessor(delivery))
        _overhear(delivery)
    for name in _CALLERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    trace.set_tracer_provider(provider)
    ambient.use(CurrentSpan())
    tracing = RecordingTracing(provider, ids, deliveries, news)
    tracing.for_child = for_child(service, instance_id, variables)
    return tracing


def _root_decision(sampler: Sampler) -> Callable[[int], bool]:
    """Give what decides of a trace that begins here, by its id: the sampler's own rule without its 3 to 6 us."""
    root: Sampler = getattr(sampler, "_root", sampler)  # where a later version has none: the sampler asks it itself
    if isinstance(root, TraceIdRatioBased):
        bound, limit = root.bound, TraceIdRatioBased.TRACE_ID_LIMIT
        return lambda trace_id: trace_id & limit < bound

    def decide(trace_id: int) -> bool:
        return root.should_sample(Context(), trace_id, "", SpanKind.SERVER).decision is not Decision.DROP

    return decide


def _resource(service: str, instance_id: str, version: str | None) -> Resource:
    own: dict[str, Any] = {SERVICE_NAME: service, SERVICE_INSTANCE_ID: instance_id}
    if version:
        own[_VERSION] = version
    return Resource.create(own).merge(OTELResourceDetector().detect())


def _exporters(variables: Mapping[str, str]) -> list[str]:
    """Give the names of the exporters; `otlp` is the one over HTTP unless a protocol says otherwise."""
    named = [name.strip() for name in (variables.get(EXPORTER) or "otlp").split(",")]
    protocol = next((variables[name] for name in _PROTOCOLS if variables.get(name)), "http/protobuf")
    otlp = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    return [otlp if name == "otlp" else name for name in named if name]


def _exporter(name: str, variables: Mapping[str, str]) -> SpanExporter:
    if name == "otlp_proto_http":
        variable = next((one for one in HEADERS if variables.get(one)), HEADERS[0])
        given = variables.get(variable, "")
        headers = parse_env_headers(given, liberal=True)
        if len(headers) < len([part for part in given.split(",") if part.strip()]):
            log.warning("headers for the collector not understood: write name=value, URL encoded, in %s", variable)
        return OTLPSpanExporter(headers=headers)
    found = entry_points(group="opentelemetry_traces_exporter", name=name)
    if not found:
        raise LookupError(f"exporter {name!r} is not installed; http/protobuf, at port 4318, is")
    exporter: SpanExporter = next(iter(found)).load()()
    return exporter


def _destination(name: str, variables: Mapping[str, str]) -> str:
    return shown_url(next((variables[one] for one in ENDPOINTS if variables.get(one)), name))


def _overhear(delivery: Delivery) -> None:
    for name in _NOISY:
        logger = logging.getLogger(name)
        logger.filters[:] = [Overheard(delivery)]
