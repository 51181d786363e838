"""A goal cut into the clauses that ask for something each."""

import re
from collections.abc import Callable, Iterator

SEPARATOR = re.compile(
    r"""(?P<quoted>"[^"]*")                                      # what is quoted is never cut
      | [,;.!?]?\s+(?:and\s+(?:then|finally)|after\s+that|and|then|finally)\s+
      | [,;.!?](?:\s+|$)                                         # not in 2.5 or docs/drain.md
      | \n+""",
    re.VERBOSE | re.IGNORECASE,
)
FILLER = re.compile(
    r"(?:(?:please|first|next|then|and|also|now|can you|could you|would you|i want(?: you)? to|let us)\b[\s,]*)+",
    re.IGNORECASE,
)


def split_goal(goal: str, known: Callable[[str], bool]) -> list[str]:
    """Give the clauses of `goal` in order, without words of mere politeness.

    A piece that is not `known` belongs to the one before it, if that takes it: "find pause and resume" is one order.
    """
    spans: list[tuple[int, int]] = []
    for start, end in _pieces(goal):
        first, last = spans[-1] if spans else (start, start)
        if spans and not known(goal[start:end]) and (known(goal[first:end]) or not known(goal[first:last])):
            spans[-1] = (first, end)
        else:
            spans.append((start, end))
    return [goal[start:end] for start, end in spans]


def _pieces(goal: str) -> Iterator[tuple[int, int]]:
    """Give where each piece between separators begins and ends, the filler before it and empty ones left out."""
    start = 0
    cuts = [found.span() for found in SEPARATOR.finditer(goal) if not found["quoted"]]
    for end, following in [*cuts, (len(goal), len(goal))]:
        begin = _past_filler(goal, start, end)
        if begin < end:
            yield begin, end
        start = following


def _past_filler(goal: str, start: int, end: int) -> int:
    begin = start + len(goal[start:end]) - len(goal[start:end].lstrip())
    filler = FILLER.match(goal, begin, end)
    return filler.end() if filler else begin
