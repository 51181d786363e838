"""A log line for a person's eyes: the time, the level, the message, then the facts."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

_COLOURS: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31;1"}
_LEFT_OUT: Final = frozenset({"timestamp", "level", "message", "agent", "instance_id", "logger", "span_id"})
_BELOW: Final = "    "
"""Before each further line of a message and of a traceback: none of them can pass for a log line of its own."""

STEERING: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1: escape sequences, bell, backspace, carriage return
    r"\xad\u061c\u180e\u200b-\u200f\u2060-\u206f\ufeff\ufff9-\ufffb"  # of no width, or turning what follows round
    r"\u2028-\u202e"  # ends of lines and paragraphs, embeddings and overrides
    r"\ud800-\udfff\U000e0000-\U000e007f]"  # halves of characters, which no stream can encode; invisible tags
)
"""One character that acts on a terminal, or lets a text look like another; a tab and a line end are not among them."""


def harmless(text: str) -> str:
    """Give `text` with what could steer a terminal or deceive its reader spelled out (Unicode TR 36, CVE-2021-42574).

    Joiners of emoji and of Persian are of no width too: a name that looks like another costs more than a broken emoji.
    """
    return STEERING.sub(lambda match: spelled(match[0]), text)


def harmless_json(text: str) -> str:
    """Give JSON in which what could steer a terminal is escaped: the same value, and one line where it was one.

    U+0085 and U+2028 end a line for some readers of logs, and U+009B begins an escape sequence for some terminals.
    """
    if text.isascii() and "\x7f" not in text:
        return text  # nearly every log line: whoever wrote the JSON escaped what is below a space
    return STEERING.sub(lambda match: json.dumps(match[0], ensure_ascii=True)[1:-1].replace("\x7f", "\\u007f"), text)


def spelled(sign: str) -> str:
    r"""Give one character as Python writes it: `\x1b`, `\u202e`."""
    return sign.encode("unicode_escape").decode("ascii")


def render(line: Mapping[str, Any], *, colour: bool) -> str:
    """Give one log line: `12:04:31.402 info    task ended  task_id=... outcome=succeeded`, a traceback below it.

    Whatever its members hold, only the colours that are given here act on a terminal.
    """
    level = _in_line(line.get("level", "info"))
    clock = _in_line(line.get("timestamp", ""))[11:23]
    facts = " ".join(
        f"{_in_line(name)}={_fact(value)}"
        for name, value in line.items()
        if name not in _LEFT_OUT and name != "exception" and value is not None
    )
    message = f"\n{_BELOW}".join(harmless(str(line.get("message", ""))).split("\n"))
    mark, plain = (f"\x1b[{_COLOURS.get(level, '0')}m", "\x1b[0m") if colour else ("", "")
    faint = "\x1b[2m" if colour else ""
    text = f"{faint}{clock}{plain} {mark}{level:<7}{plain} {message}"
    if facts:
        text += f"  {faint}{facts}{plain}"
    if "exception" in line:
        text += "".join(f"\n{_BELOW}{part}" for part in harmless(str(line["exception"])).split("\n"))
    return text


def _fact(value: Any) -> str:  # noqa: ANN401  # any JSON value
    text = _in_line(value)
    return harmless(repr(str(value))) if " " in text or not text else text


def _in_line(value: Any) -> str:  # noqa: ANN401  # any JSON value
    """Give a value as harmless text on one line."""
    return harmless(str(value)).replace("\t", "\\t").replace("\n", "\\n")
