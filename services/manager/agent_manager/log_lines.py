"""The lines of a log with their times: read, merged by time, gone on with where a reader left off."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from agent_contract.sse import encode_event
from agent_contract.tail import gap_line
from msgspec import UNSET, Struct, UnsetType

OVERLAP_LINES: Final = 500
"""How far back a reader who goes on looks for the line that was the last: in a second nobody writes more."""


class Line(Struct, rename="camel", frozen=True):
    """One line of one instance; `error` in the place of an instance's lines where it has none to give."""

    instance_id: str
    line: str
    error: dict[str, Any] | UnsetType = UNSET

    def event(self) -> bytes:
        """Give it as an event of a stream."""
        return encode_event("line", msgspec.json.encode(self))


class Text(Struct, frozen=True):
    """A line and when it was written; without a time of its own it has that of the line before it, if there is one."""

    line: str
    at: datetime | None = None


class _Timed(Struct):
    timestamp: datetime | None = None


_TIMED: Final = msgspec.json.Decoder(_Timed)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)


class Times:
    """Gives each line of one log its time."""

    def __init__(self) -> None:
        self._last: datetime | None = None

    def of(self, line: str, at: datetime | None = None) -> Text:
        """Give a line with its time: the one that is known, else the one that it says of itself."""
        self._last = at or time_in(line) or self._last
        return Text(line, self._last)


class Follower:
    """One reader's place in one log: what it had is skipped when a stream begins again, what is missing is marked."""

    def __init__(self) -> None:
        self._last: Text | None = None
        self._seeking = False
        self._skipped = 0

    @property
    def has_begun(self) -> bool:
        """Whether it had a line."""
        return self._last is not None

    def begin(self) -> None:
        """Expect the tail of the log again, the last line that it had most likely in it."""
        self._seeking, self._skipped = self._last is not None, 0

    def take(self, text: Text) -> list[str]:
        """Give what the reader gets of a line: nothing of one that it had, a mark where it may have missed some."""
        if not self._seeking:
            self._last = text
            return [text.line]
        if self._last is not None and text.line == self._last.line and text.at == (self._last.at or text.at):
            self._seeking = False
            return []
        self._skipped += 1
        if not self._is_past(text):
            return []
        self._seeking, self._last = False, text
        return [gap_line(text.at), text.line]

    def _is_past(self, text: Text) -> bool:
        known = None if self._last is None else self._last.at
        later = known is None or (text.at is not None and text.at > known)
        return later or self._skipped > OVERLAP_LINES


def merged(logs: Iterable[tuple[str, list[Text]]]) -> list[Line]:
    """Give the lines of several logs in the order of time; those of one stay in their order."""
    every = [(text.at or _FIRST, Line(name, text.line)) for name, texts in logs for text in texts]
    every.sort(key=lambda one: one[0])
    return [line for _, line in every]


def time_in(line: str) -> datetime | None:
    """Give the time that a JSON log line says of itself."""
    if not line.startswith("{"):
        return None
    try:
        time = _TIMED.decode(line).timestamp
    except (msgspec.MsgspecError, RecursionError):
        return None
    return time if time is None or time.tzinfo is not None else time.replace(tzinfo=UTC)
