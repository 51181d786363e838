"""The steps that the executor knows, read from JSON: a small, safe set. Nothing here does anything yet."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from agents.arithmetic import CalculationError, Number, calculate

MAX_STEPS = 32  # each gives 256 KiB at most, so that all results stay below the 10 MiB of an answer
MAX_WAIT_SECONDS = 600
MAX_TEXT = 256 * 1024  # characters
MAX_QUERY = 2_000
MAX_PATH = 1_000
MAX_PASSAGES = 20
MAX_SENTENCES = 20


class StepError(Exception):
    """The caller's mistake: `field` is the path of the place to blame."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field


@dataclass(frozen=True, slots=True)
class Wait:
    """`{"wait": seconds}`, from 0 to 600."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Retrieve:
    """`{"retrieve": query, "limit"?: passages}`."""

    query: str
    limit: int


@dataclass(frozen=True, slots=True)
class Summarise:
    """`{"summarise": source, "sentences"?: number}`. A source is a text, or the number of an earlier step."""

    source: str | int
    sentences: int


@dataclass(frozen=True, slots=True)
class Count:
    """`{"count": source}`: its words and lines."""

    source: str | int


@dataclass(frozen=True, slots=True)
class Calculate:
    """`{"calculate": expression}`. Worked out as it is read: a mistake in it is known before any step runs."""

    value: Number


@dataclass(frozen=True, slots=True)
class Read:
    """`{"read": path}`: README.md or a text below docs/."""

    path: str


Step: TypeAlias = Wait | Retrieve | Summarise | Count | Calculate | Read


def parse_steps(steps: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Give the steps in order. A member beside the kind that the kind does not know is ignored.

    Raises StepError for the first mistake, with its path.
    """
    if not 1 <= len(steps) <= MAX_STEPS:
        raise StepError("parameters.steps", f"cannot execute {len(steps)} steps: from 1 to {MAX_STEPS} can be given")
    parsed: list[Step] = []
    for number, step in enumerate(steps):
        path = f"parameters.steps[{number}]"
        kinds = [kind for kind in step if kind in KINDS]
        if not kinds:
            unknown = next(iter(step), None)
            detail = f"cannot execute {unknown!r}: a step is one of {', '.join(KINDS)}"
            raise StepError(path if unknown is None else f"{path}.{unknown}", detail)
        if len(kinds) > 1:
            raise StepError(f"{path}.{kinds[1]}", f"cannot execute {kinds[0]} and {kinds[1]} in one step")
        parsed.append(KINDS[kinds[0]](step, path, parsed))
    return parsed


def _wait(step: Mapping[str, Any], path: str, _earlier: Sequence[Step]) -> Step:
    seconds = step["wait"]
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and math.isfinite(seconds)
    if not number or not 0 <= seconds <= MAX_WAIT_SECONDS:
        raise StepError(f"{path}.wait", f"cannot wait {seconds!r}: a number of seconds from 0 to {MAX_WAIT_SECONDS}")
    return Wait(seconds)


def _retrieve(step: Mapping[str, Any], path: str, _earlier: Sequence[Step]) -> Step:
    return Retrieve(_text(step, "retrieve", path, MAX_QUERY), _whole(step, "limit", path, MAX_PASSAGES))


def _summarise(step: Mapping[str, Any], path: str, earlier: Sequence[Step]) -> Step:
    return Summarise(_source(step, "summarise", path, earlier), _whole(step, "sentences", path, MAX_SENTENCES))


def _count(step: Mapping[str, Any], path: str, earlier: Sequence[Step]) -> Step:
    return Count(_source(step, "count", path, earlier))


def _calculate(step: Mapping[str, Any], path: str, _earlier: Sequence[Step]) -> Step:
    try:
        return Calculate(calculate(_text(step, "calculate", path, MAX_TEXT)))
    except CalculationError as error:
        raise StepError(f"{path}.calculate", str(error)) from error


def _read(step: Mapping[str, Any], path: str, _earlier: Sequence[Step]) -> Step:
    return Read(_text(step, "read", path, MAX_PATH))


KINDS: dict[str, Callable[[Mapping[str, Any], str, Sequence[Step]], Step]] = {
    "wait": _wait,
    "retrieve": _retrieve,
    "summarise": _summarise,
    "count": _count,
    "calculate": _calculate,
    "read": _read,
}


def _text(step: Mapping[str, Any], name: str, path: str, longest: int) -> str:
    text = step[name]
    if not isinstance(text, str) or not text.strip() or len(text) > longest:
        raise StepError(f"{path}.{name}", f"cannot {name}: a text of 1 to {longest} characters is needed")
    return text


def _whole(step: Mapping[str, Any], name: str, path: str, largest: int) -> int:
    """Give an option that counts something: 3 where it is not said."""
    number = step.get(name, 3)
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= largest:
        raise StepError(f"{path}.{name}", f"cannot use {name} {number!r}: a whole number from 1 to {largest}")
    return number


def _source(step: Mapping[str, Any], name: str, path: str, earlier: Sequence[Step]) -> str | int:
    """Give the text itself, or the number of an earlier step that gives one."""
    if not isinstance(step[name], Mapping):
        return _text(step, name, path, MAX_TEXT)
    number = step[name].get("from")
    known = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(earlier)
    if not known or isinstance(earlier[number], Wait):
        raise StepError(f"{path}.{name}.from", f"cannot {name} step {number!r}: no earlier step that gives a text")
    return int(number)
