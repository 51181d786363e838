"""What is said of a collector: once when it fails, once when it takes spans again, now and then that it is too slow."""

import logging
from collections.abc import Sequence

import pytest
from agent_contract.tracing.delivery import Delivery, Overheard
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

SPANS = [ReadableSpan("x"), ReadableSpan("y")]


class Exporter(SpanExporter):
    """Does what it is told with each batch."""

    def __init__(self) -> None:
        self.result: SpanExportResult | Exception = SpanExportResult.SUCCESS

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Give the result, or raise it."""
        del spans
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.fixture
def exporter() -> Exporter:
    """Give an exporter that takes everything."""
    return Exporter()


@pytest.fixture
def failures() -> list[bool]:
    """Give what notes each failure that is heard."""
    return []


@pytest.fixture
def delivery(exporter: Exporter, failures: list[bool]) -> Delivery:
    """Give the delivery to it."""
    return Delivery(exporter, "here", on_failure=lambda: failures.append(True))


def test_a_failure_is_said_once_and_its_end_with_what_was_lost(
    exporter: Exporter, delivery: Delivery, failures: list[bool], caplog: pytest.LogCaptureFixture
) -> None:
    """However many batches fail, and however: refused, or with an exception that nobody expected."""
    caplog.set_level(logging.INFO)
    delivery.export(SPANS)
    assert not caplog.records
    exporter.result = SpanExportResult.FAILURE
    delivery.export(SPANS)
    exporter.result = RuntimeError("odd")
    assert delivery.export(SPANS) is SpanExportResult.FAILURE
    assert delivery.failing
    exporter.result = SpanExportResult.SUCCESS
    delivery.export(SPANS)
    assert [record.message for record in caplog.records] == ["cannot send spans", "sending spans again"]
    assert (caplog.records[0].__dict__["to"], caplog.records[1].__dict__["lost"]) == ("here", 4)
    assert not delivery.failing
    assert failures


def test_the_librarys_own_lines_are_heard_and_kept_out_of_the_log(
    delivery: Delivery, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure that is tried again is one; a full queue is told of, at most once a minute."""
    logger = logging.getLogger("a library of spans")
    monkeypatch.setattr(logger, "filters", [Overheard(delivery)])
    caplog.set_level(logging.DEBUG)
    for _ in range(5):
        logger.warning("Queue full, dropping %s.", "Span")
    logger.info("Shutdown called, ignoring %s.", "Span")
    logger.warning("Transient error %s encountered while exporting span batch", "Service Unavailable")
    logger.error("Failed to export span batch")
    said = [record.message for record in caplog.records]
    assert said == ["more spans than can be sent, some are lost", "cannot send spans"]
    assert "Service Unavailable" in caplog.records[1].__dict__["reason"]


def test_a_batch_that_takes_long_hangs(failures: list[bool]) -> None:
    """Whoever leaves does not wait for it."""
    now = [0.0]
    seen: list[bool] = []

    class Slow(Exporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            seen.append(slow.hangs)
            now[0] = 1.5
            seen.append(slow.hangs)
            return super().export(spans)

    slow = Delivery(Slow(), "here", on_failure=lambda: failures.append(True), clock=lambda: now[0])
    slow.export(SPANS)
    assert [*seen, slow.hangs] == [False, True, False]
