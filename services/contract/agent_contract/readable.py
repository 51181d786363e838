"""A log line for a person's eyes: the time, the level, the message, then the facts."""

import re
from collections.abc import Mapping
from typing import Any, Final

_COLOURS: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31;1"}
_LEFT_OUT: Final = frozenset({"timestamp", "level", "message", "agent", "instance_id", "logger", "span_id"})
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Give `text` with control and direction characters spelled out, so that it cannot steer a terminal."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def render(line: Mapping[str, Any], *, colour: bool) -> str:
    """Give one log line: `12:04:31.402 info    task ended  task_id=... outcome=succeeded`, a traceback below it."""
    level = str(line.get("level", "info"))
    clock = str(line.get("timestamp", ""))[11:23]
    facts = " ".join(
        f"{harmless(str(name))}={_fact(value)}"
        for name, value in line.items()
        if name not in _LEFT_OUT and name != "exception"
    )
    message = harmless(str(line.get("message", "")))
    mark, plain = (f"\x1b[{_COLOURS.get(level, '0')}m", "\x1b[0m") if colour else ("", "")
    faint = "\x1b[2m" if colour else ""
    text = f"{faint}{clock}{plain} {mark}{level:<7}{plain} {message}"
    if facts:
        text += f"  {faint}{facts}{plain}"
    if "exception" in line:
        text += "\n" + "\n".join(harmless(part) for part in str(line["exception"]).splitlines())
    return text


def _fact(value: Any) -> str:  # noqa: ANN401  # any JSON value
    text = harmless(str(value))
    return repr(text) if " " in text or not text else text
