"""What an isolated agent logs, prints and writes to its standard error, as lines that the adapter logs again."""

import contextvars
import faulthandler
import logging
import os
import sys
import threading
from typing import Final

import msgspec
from agent_contract.tracing.ambient import current_ids

from agent_adapter.agents.json_lines import LogLine
from agent_adapter.printing import LineStream

STDERR: Final = 2
TASK: contextvars.ContextVar[str | None] = contextvars.ContextVar("task", default=None)
"""The task whose code runs; threads of agent code have its context."""
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Handler):
    """Writes each record as one JSON line to the standard error, at once: a crash must not lose the last words."""

    def __init__(self) -> None:
        super().__init__()
        self._writing = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; one that cannot be written is lost, and nothing else."""
        try:
            line = msgspec.json.encode(_line(record), enc_hook=str) + b"\n"
            with self._writing:
                write_all(STDERR, line)
        except Exception:  # noqa: BLE001  # logging's own rule: a log line never breaks the code that logs
            self.handleError(record)


def configure(level: str) -> None:
    """Send `logging`, `print` and Python's standard error to the adapter; a crash in C writes where it happened."""
    lines = JsonLines()
    root = logging.getLogger()
    root.handlers[:] = [lines]
    root.setLevel(level.upper())
    logging.raiseExceptions = False
    logging.captureWarnings(capture=True)
    faulthandler.enable(STDERR)
    sys.stdout = LineStream(_own("print", lines).info)
    sys.stderr = LineStream(_own("stderr", lines).info)


def _own(name: str, lines: JsonLines) -> logging.Logger:
    """Give a logger that no handler of agent code hears: one that writes to `sys.stderr` would never end."""
    logger = logging.getLogger(name)
    logger.handlers[:], logger.propagate = [lines], False
    return logger


def write_all(file: int, data: bytes) -> None:
    """Write all of it; raises BrokenPipeError when nobody reads any more."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _line(record: logging.LogRecord) -> LogLine:
    exception = None
    if record.exc_info and record.exc_info[1] is not None:
        exception = _FORMATTER.formatException(record.exc_info)
    extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    return LogLine(
        record.levelname, record.name, record.getMessage(), TASK.get(), exception, fields=extra or None, **current_ids()
    )


_FORMATTER: Final = logging.Formatter()
