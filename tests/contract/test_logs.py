"""Log lines: one JSON object each, whoever wrote them, with what they always carry; readable on a terminal."""

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import structlog
from agent_contract import logs
from agent_contract.tracing import TraceContext, ambient

FACTS = {"agent": "planner", "instance_id": "1"}
Written = Callable[[], list[dict[str, Any]]]


class Terminal(io.StringIO):
    """A stream that says that it is one."""

    def isatty(self) -> bool:
        """Tell so."""
        return True


class Stuck(io.StringIO):
    """A stream whose reader has stopped, until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = threading.Event()
        self.goes_on = threading.Event()

    def write(self, text: str) -> int:
        """Wait, then write."""
        self.waits.set()
        assert self.goes_on.wait(10)
        return super().write(text)


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Leave the process's own logging as it was."""
    root, was = logging.getLogger(), structlog.get_config()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:], logging.raiseExceptions = handlers, raises
    root.setLevel(level)
    structlog.configure(**was)


@pytest.fixture
def written() -> Written:
    """Give a function that ends the logging and gives what it wrote; agent and instance are `FACTS`."""
    stream = io.StringIO()
    output = logs.configure("info", facts=FACTS, stream=stream)

    def lines() -> list[dict[str, Any]]:
        output.close()
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    return lines


def test_every_line_says_when_what_and_who(written: Written) -> None:
    """A line of ours, one of a library, one with an exception: the same members first, then the line's own."""
    structlog.stdlib.get_logger("ours").info("did it", count=2)
    logging.getLogger("library").warning("saw %s", "this", extra={"where": "there"})
    try:
        int("no number")
    except ValueError:
        logging.getLogger("library").exception("failed")
    ours, library, failed = written()
    assert list(ours)[:3] == ["timestamp", "level", "message"]
    assert {name: ours[name] for name in ("level", "message", "count", "logger")} == {
        "level": "info",
        "message": "did it",
        "count": 2,
        "logger": "ours",
    }
    assert (library["level"], library["message"], library["where"]) == ("warning", "saw this", "there")
    assert failed["exception"].endswith("'no number'")
    assert {(line["agent"], line["instance_id"]) for line in (ours, library, failed)} == {("planner", "1")}


def test_times_sort_as_texts(written: Written) -> None:
    """They are all of one width, also in the one microsecond of a million that is 0."""
    for number in range(3):
        logging.getLogger("ours").info("%s", number)
    times = [line["timestamp"] for line in written()]
    assert times == sorted(times)
    assert {(len(time), time[10], time[19], time[-1]) for time in times} == {(27, "T", ".", "Z")}


def test_the_servers_lines_are_lines_like_others(written: Written) -> None:
    """Warnings and errors of uvicorn; what it says at each start is left out."""
    logging.getLogger("uvicorn.error").info("Started server process [1]")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    (line,) = written()
    assert (line["message"], line["logger"], line["agent"]) == (
        "Invalid HTTP request received.",
        "uvicorn.error",
        "planner",
    )


class InASpan:
    """Stands in for OpenTelemetry: a span is current."""

    def ids(self) -> dict[str, str]:
        """Give its ids."""
        return {"trace_id": "of the span", "span_id": "7"}

    def context(self) -> TraceContext | None:
        """Give nothing: no call is made."""

    def continuing(self, _: TraceContext) -> AbstractContextManager[Any]:
        """Do nothing."""
        return nullcontext()

    def unobserved(self) -> AbstractContextManager[Any]:
        """Do nothing."""
        return nullcontext()


def test_a_line_carries_the_span_in_which_it_was_written(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over what its task has bound, under what the line says itself."""
    monkeypatch.setattr(ambient, "_sources", [InASpan()])
    with structlog.contextvars.bound_contextvars(task_id="t", trace_id="of the task"):
        logging.getLogger("ours").info("in a span")
        structlog.stdlib.get_logger("ours").info("of another", trace_id="another")
        monkeypatch.setattr(ambient, "_sources", [])
        logging.getLogger("ours").info("in the task")
    found = [(line["message"], line["trace_id"], line.get("span_id"), line["task_id"]) for line in written()]
    assert found == [
        ("in a span", "of the span", "7", "t"),
        ("of another", "another", "7", "t"),
        ("in the task", "of the task", None, "t"),
    ]


def test_lines_that_find_no_room_are_counted_where_they_would_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that has stopped holds up nobody; when it goes on, a line says how many are missing."""
    monkeypatch.setattr(logs, "_QUEUE_LINES", 2)
    stream = Stuck()
    output = logs.configure("info", stream=stream)
    say = logging.getLogger("ours").info
    say("0")
    assert stream.waits.wait(10)  # taken from the queue, not written
    for number in range(1, 6):
        say("%s", number)
    assert output.dropped == 3
    stream.goes_on.set()
    while not output._handler.queue.empty():  # the writing thread is at it
        pass
    say("6")
    output.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["message"] for line in lines] == ["0", "1", "2", "log lines lost", "6"]
    assert (lines[3]["level"], lines[3]["lines"]) == ("warning", 3)


def test_a_terminal_gets_them_readable_and_the_file_as_they_are(tmp_path: Path) -> None:
    """The time of day, the level, the message, the facts but those that every line has; a file is for machines."""
    stream, file = Terminal(), tmp_path / "planner.log"
    output = logs.configure("info", file=file, facts=FACTS, stream=stream)
    structlog.stdlib.get_logger("ours").warning("look", path="/a b")
    output.close()
    assert "look" in stream.getvalue()
    assert "path='/a b'" in stream.getvalue()
    assert "planner" not in stream.getvalue()
    assert json.loads(file.read_text())["message"] == "look"


def test_a_reader_that_has_stopped_does_not_hold_the_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pipe is full and so is the queue: the last lines are lost, and nothing is raised."""
    monkeypatch.setattr(logs, "_QUEUE_LINES", 1)
    monkeypatch.setattr(logs, "_CLOSE_SECONDS", 0.05)
    stream = Stuck()
    output = logs.configure("info", stream=stream)
    for number in range(3):
        logging.getLogger("ours").info("%s", number)
        assert stream.waits.wait(10)
    output.close()
    assert stream.getvalue() == ""
    stream.goes_on.set()
