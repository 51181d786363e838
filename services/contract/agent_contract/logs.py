"""Logs: one JSON object a line on standard output and in a rotated file, for structlog and standard logging alike.

Rendering happens where the line is born (its task's context is known there); writing happens in one thread behind a
bounded queue, so that a full disk or a reader that has stopped reading never holds the event loop.
"""

import logging
import logging.handlers
import queue
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec
import structlog

from agent_contract.readable import harmless, harmless_json, render
from agent_contract.tracing.ambient import current_ids

_QUEUE_LINES: Final = 20_000
"""Lines that may wait to be written, some 10 MB; more are dropped and counted."""
_FILE_BYTES: Final = 10 * 1024 * 1024
_FILES: Final = 3
_CLOSE_SECONDS: Final = 1.0
LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class LogOutput:
    """Where the log lines of this process go; `close` writes out what still waits."""

    def __init__(self, handler: "_Enqueue", listener: "_Listener") -> None:
        self._handler = handler
        self._listener = listener

    @property
    def dropped(self) -> int:
        """How many lines were dropped because the queue was full."""
        return self._handler.dropped

    def close(self) -> None:
        """Write out what waits and end the writing thread; later lines are lost.

        Those that nobody reads within a second are lost too: a reader that has stopped must not hold the exit.
        """
        logging.getLogger().removeHandler(self._handler)
        ending = threading.Thread(target=self._listener.stop, daemon=True)
        ending.start()
        ending.join(_CLOSE_SECONDS)


class _Enqueue(logging.handlers.QueueHandler):
    """Renders a record to its final text in the context that logged it, and queues that."""

    dropped = 0
    _untold = 0
    queue: "queue.Queue[logging.LogRecord]"

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        record.msg, record.args = self.format(record), None
        record.exc_info = record.exc_text = record.stack_info = None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        if self._untold and not self.queue.full():
            lost, self._untold = self._untold, 0
            structlog.stdlib.get_logger(__name__).warning("log lines lost", lines=lost)  # where they would stand
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1
            self._untold += 1

    def handleError(self, _: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        self.dropped += 1


class _Listener(logging.handlers.QueueListener):
    """Writes the lines; it ends behind the last one that had room in the queue."""

    queue: "queue.Queue[logging.LogRecord | None]"

    def enqueue_sentinel(self) -> None:
        self.queue.put(None)  # the library's own sentinel; it waits for room, where the library's call would raise

    def stop(self) -> None:
        super().stop()
        for handler in self.handlers:
            handler.close()


class _Readable(logging.StreamHandler[TextIO]):
    """Standard output on a terminal: the same lines for a person's eyes."""

    def format(self, record: logging.LogRecord) -> str:
        try:
            return render(msgspec.json.decode(record.msg), colour=True)
        except msgspec.MsgspecError:
            return harmless(str(record.msg))


def configure(
    level: str, *, file: Path | None = None, facts: Mapping[str, Any] | None = None, stream: TextIO | None = None
) -> LogOutput:
    """Send every log line of this process to standard output and, where it can be opened, to `file`.

    `level` is one of debug, info, warning, error; `facts` are members of every line (agent, instance_id), as they are
    when it is written. A file that cannot be opened is said in a warning: work never stops for a log.
    """
    target = stream or sys.stdout
    shared = [_add(facts or {}), _add_trace, structlog.contextvars.merge_contextvars, *_PROCESSORS]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _Enqueue(queue.Queue(_QUEUE_LINES))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _ordered, _to_json],
        )
    )
    console = _Readable(target) if target.isatty() else logging.StreamHandler(target)
    handlers: list[logging.Handler] = [console]
    trouble: OSError | None = None
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handlers.append(
                logging.handlers.RotatingFileHandler(
                    file, maxBytes=_FILE_BYTES, backupCount=_FILES - 1, encoding="utf-8"
                )
            )
        except OSError as error:
            trouble = error
    listener = _Listener(handler.queue, *handlers)
    listener.start()
    logging.raiseExceptions = False  # a full disk costs its own lines, nothing else (stdout has them as well)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for noisy in ("httpx", "httpcore", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if trouble is not None:
        structlog.stdlib.get_logger(__name__).warning("log file unavailable", path=str(file), error=str(trouble))
    return LogOutput(handler, listener)


def _add(facts: Mapping[str, Any]) -> structlog.typing.Processor:
    def add(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:  # noqa: ANN401  # structlog's
        for name, value in facts.items():
            event.setdefault(name, value)
        return event

    return add


def _add_trace(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:  # noqa: ANN401  # structlog's
    """Say in which span this is; what the line itself says of it stands over that, and the task's own under it."""
    for name, value in current_ids().items():
        event.setdefault(name, value)
    return event


_PROCESSORS: Final[list[structlog.typing.Processor]] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%S.%fZ", utc=True, key="timestamp"),  # sorts as text
    structlog.processors.format_exc_info,
    structlog.processors.EventRenamer("message"),
]


def _ordered(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:  # noqa: ANN401  # structlog's
    first = {name: event.pop(name) for name in ("timestamp", "level", "message") if name in event}
    return {**first, **event}


def _to_json(_: Any, __: str, event: structlog.typing.EventDict) -> str:  # noqa: ANN401  # structlog's
    return harmless_json(msgspec.json.encode(event, enc_hook=str).decode())
