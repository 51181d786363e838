"""Query values, read strictly: a wrong one is the caller's 400, with its name as the field."""

from collections.abc import Mapping
from typing import Final

from agent_contract.problems import Problem

_TRUE: Final = ("true", "1")
_FALSE: Final = ("false", "0", "")

Query = Mapping[str, str]


def whole_number(query: Query, name: str, default: int, low: int, high: int) -> int:
    """Give a query value as a whole number from `low` to `high`; raises Problem 400."""
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(high)) and low <= int(text) <= high):
        detail = f"{name} must be a whole number from {low} to {high}, not {text[:40]!r}"
        raise Problem("bad-request", detail, field=name)
    return int(text)


def flag(query: Query, name: str) -> bool:
    """Give a query value as true or false; raises Problem 400."""
    text = query.get(name, "").lower()
    if text not in _TRUE + _FALSE:
        raise Problem("bad-request", f"{name} must be true or false, not {text[:40]!r}", field=name)
    return text in _TRUE


def choice(query: Query, name: str, allowed: tuple[str, ...]) -> str | None:
    """Give a query value that is one of those allowed, None when it was left out; raises Problem 400."""
    text = query.get(name)
    if text is not None and text not in allowed:
        raise Problem("bad-request", f"{name} must be one of {', '.join(allowed)}, not {text[:40]!r}", field=name)
    return text


def text(query: Query, name: str, longest: int) -> str | None:
    """Give a query value that is no longer than that, None when it was left out; raises Problem 400."""
    value = query.get(name)
    if value is not None and not 1 <= len(value) <= longest:
        raise Problem("bad-request", f"{name} must have 1 to {longest} characters", field=name)
    return value
