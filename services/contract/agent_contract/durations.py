"""Durations as people write them."""

import re
from typing import Final

_UNITS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")


def parse_duration(text: str) -> float:
    """Give the seconds of `90`, `90s`, `5m` or `1h30m`.

    Raises:
        ValueError: the text is not a duration; the message says what one looks like.

    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"cannot read duration {text!r}: write seconds or 90s, 5m, 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def format_duration(seconds: float) -> str:
    """Give a duration in its two largest units, as kubectl does: `4s`, `5m12s`, `3h4m`, `2d3h`."""
    whole = max(0, int(seconds))
    days, hours, minutes, rest = whole // 86400, whole % 86400 // 3600, whole % 3600 // 60, whole % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    first = next((index for index, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return "".join(f"{number}{unit}" for number, unit in parts[first : first + 2] if number) or "0s"
