"""Query values, read strictly: a wrong one is the caller's 400, with its name as the field."""

from typing import Final

from agent_contract.problems import Problem
from litestar import Request
from litestar.datastructures import State

AnyRequest = Request[object, object, State]

_TRUE: Final = ("true", "1")
_FALSE: Final = ("false", "0", "")


def whole_number(request: AnyRequest, name: str, default: int, low: int, high: int) -> int:
    """Give a query value as a whole number from `low` to `high`; raises Problem 400."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(high)) and low <= int(text) <= high):
        raise Problem(
            "bad-request", f"{name} must be a whole number from {low} to {high}, not {text[:40]!r}", field=name
        )
    return int(text)


def flag(request: AnyRequest, name: str) -> bool:
    """Give a query value as true or false; raises Problem 400."""
    text = request.query_params.get(name, "").lower()
    if text not in _TRUE + _FALSE:
        raise Problem("bad-request", f"{name} must be true or false, not {text[:40]!r}", field=name)
    return text in _TRUE


def choice(request: AnyRequest, name: str, allowed: tuple[str, ...]) -> str | None:
    """Give a query value that is one of those allowed, None when it was left out; raises Problem 400."""
    text = request.query_params.get(name)
    if text is not None and text not in allowed:
        raise Problem("bad-request", f"{name} must be one of {', '.join(allowed)}, not {text[:40]!r}", field=name)
    return text
