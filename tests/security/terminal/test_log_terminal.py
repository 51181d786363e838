"""Log lines of managers and adapters: on a terminal nothing in them acts, and in JSON each stays one line."""

import io
import json
import logging
import os
import pty
import tty
from collections.abc import Iterator

import pytest
import structlog
from agent_contract.logs import LogOutput, configure
from agent_contract.readable import STEERING, harmless_json

from tests.security.terminal.evil_manager import EVIL, left_of


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Put logging back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def say_evil(output: LogOutput) -> None:
    """Log an evil name as message, as fact, as the name of a fact, from the standard library, and as an exception."""
    log = structlog.stdlib.get_logger("evil")
    log.warning(EVIL, agent_name=EVIL, **{EVIL: EVIL})
    logging.getLogger("library").warning("said %s", EVIL)
    try:
        raise RuntimeError(EVIL)  # noqa: TRY301  # a traceback is what is wanted
    except RuntimeError:
        log.exception("failed")
    output.close()


def test_on_a_terminal_nothing_in_them_acts() -> None:
    """And each further line is set in: none passes for one of ours."""
    reading, writing = pty.openpty()
    tty.setraw(writing)
    with os.fdopen(writing, "w", encoding="utf-8", errors="backslashreplace") as terminal:
        say_evil(configure("info", facts={"agent": EVIL, "instance_id": EVIL}, stream=terminal))
        text = os.read(reading, 65536).decode()
    os.close(reading)
    assert "owned" in text
    assert left_of(text) == set()
    own = [line for line in text.splitlines() if not line.startswith("    ")]
    assert len(own) == 3
    assert not any(line.startswith("forged") for line in text.splitlines())


def test_in_json_a_line_stays_one_line_for_every_reader_and_the_same_value() -> None:
    """Also for those to whom U+0085 and U+2028 end a line, and for whoever looks at the file on a terminal."""
    stream = io.StringIO()
    say_evil(configure("info", facts={"agent": EVIL, "instance_id": EVIL}, stream=stream))
    text = stream.getvalue()
    assert set(STEERING.findall(text)) == set()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == 3
    assert lines[0]["message"] == lines[0]["agent_name"] == lines[0]["agent"] == lines[0][EVIL] == EVIL
    assert lines[1]["message"] == f"said {EVIL}"
    assert EVIL in lines[2]["exception"]


@pytest.mark.parametrize("value", ["plain", "ä", "\x7f", "\u2028", "\U000e0041", "a\\u202e", EVIL])
def test_escaped_json_is_the_same_value(value: str) -> None:
    """A backslash that stood there already is no part of an escape of ours."""
    escaped = harmless_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(escaped) == value
    assert not STEERING.search(escaped)
