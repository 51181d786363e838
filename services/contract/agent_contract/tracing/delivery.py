"""Spans on their way to a collector: what becomes of them is said once, not with each batch."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

_HANGING_SECONDS: Final = 1.0
"""A batch that has taken so long is not waited for by a process that leaves."""
_QUIET_SECONDS: Final = 60.0
"""The full queue is told of once in this time: it may fill again with each batch that is taken."""

log = logging.getLogger(__name__)


class Delivery(SpanExporter):
    """An exporter that is watched: the SDK's own lines about it become one when it fails and one when it works again.

    `export` is called by the one thread of the SDK's processor, never on an event loop; so is `on_failure`.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        destination: str,
        *,
        on_failure: Callable[[], Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exporter = exporter
        self._destination = destination
        self._lost = 0
        self._began: float | None = None
        self._told_full: float | None = None
        self.failing = False
        """Whether the last that was heard is a failure."""
        self._on_failure = on_failure
        self._clock = clock

    @property
    def hangs(self) -> bool:
        """Whether a batch under way has taken too long to be waited for."""
        began = self._began
        return began is not None and self._clock() - began > _HANGING_SECONDS

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; what fails is lost."""
        self._began = self._clock()
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001  # exporters raise what they like, and a span is worth no failure
            self.failed(f"{type(error).__name__}: {error}")
            result = SpanExportResult.FAILURE
        finally:
            self._began = None
        if result is SpanExportResult.SUCCESS:
            self._worked()
        else:
            self._lost += len(spans)
            self.failed("a batch was not taken")
        return result

    def shutdown(self) -> None:
        """End the exporter."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Give what the exporter says: it has nothing of its own."""
        return self._exporter.force_flush(timeout_millis)

    def failed(self, reason: str) -> None:
        """Hear of a failure, also of one that is tried again."""
        if not self.failing:
            self.failing = True
            log.warning("cannot send spans", extra={"to": self._destination, "reason": reason})
        self._on_failure()

    def filled(self) -> None:
        """Hear that the queue is full, and spans are dropped."""
        now = self._clock()
        if not self.failing and (self._told_full is None or now - self._told_full > _QUIET_SECONDS):
            self._told_full = now
            log.warning("more spans than can be sent, some are lost", extra={"to": self._destination})

    def _worked(self) -> None:
        if self.failing:
            self.failing = False
            log.info("sending spans again", extra={"to": self._destination, "lost": self._lost})
        self._lost = 0


class Overheard(logging.Filter):
    """Takes the place of the lines of a library's logger: they come with each batch or span, and here is their news."""

    def __init__(self, delivery: Delivery) -> None:
        super().__init__()
        self._delivery = delivery

    def filter(self, record: logging.LogRecord) -> bool:
        """Hear a line, and keep it out of the log."""
        if record.levelno >= logging.WARNING:
            message = record.getMessage()
            if message.startswith("Queue full"):
                self._delivery.filled()
            else:
                self._delivery.failed(message)
        return False
