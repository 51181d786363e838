"""Reading a page of OpenMetrics 1.0 strictly, and labelling its series with whose they are.

A page that breaks a rule is refused as a whole: half of one that was cut off would look like a drop of every number.
What Prometheus would choke on is refused here, for one bad line costs a scrape everything.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final, cast, get_args

from msgspec import Struct

from agent_manager.metrics.families import Kind, Lines, escaped, sample_names

SLICE_LINES: Final = 500
"""Read between two turns of the event loop: about a millisecond."""

_END: Final = "# EOF"
_NAME: Final = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL: Final = r'[a-zA-Z_][a-zA-Z0-9_]*="[^"\\]*(?:\\["\\n][^"\\]*)*"'
_LABELS: Final = rf"(?:{_LABEL}(?:,{_LABEL})*)?"
_NUMBER: Final = r"(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?Inf|NaN)"
_DESCRIPTOR: Final = re.compile(rf"# (TYPE|HELP|UNIT) ({_NAME})(?: (.*))?")
_TIME: Final = r"(?: -?\d+(?:\.\d+)?)?"
_SAMPLE: Final = re.compile(
    rf"({_NAME})(?:\{{({_LABELS})\}})? ({_NUMBER}){_TIME}( # \{{{_LABELS}\}} {_NUMBER}{_TIME})?"
)
_ONE_LABEL: Final = re.compile(_LABEL)
_BOUND: Final = re.compile(rf'(?:^|,)le="({_NUMBER})"')
_OVERWRITTEN: Final = frozenset(("agent", "instance_id", "job", "instance", "namespace", "pod"))
"""What says whose a series is: the first two are ours to say, the others are Prometheus's (facts of the scrape)."""
_FOREIGN: Final = tuple(f'{label}="' for label in _OVERWRITTEN)
_KINDS: Final = frozenset(get_args(Kind))
_WITH_EXEMPLARS: Final = ("_bucket", "_total")
_WITH_CREATED: Final = frozenset(("counter", "histogram", "summary"))
"""They may have a series `_created` too, which nobody needs: it is left out."""
_ESCAPE: Final = re.compile(r"\\(.)")
_UNESCAPED: Final = {"n": "\n", "\\": "\\", '"': '"'}


class Malformed(ValueError):  # noqa: N818  # what it is
    """A page is not OpenMetrics 1.0, or not complete."""


class ReadFamily(Struct):
    """A family of one page. Its series carry their owner's labels."""

    name: str
    kind: Kind | None = None
    text: str | None = None
    plain: list[str] = []
    rich: list[str] = []
    has_exemplars: bool = False
    repeats: bool = False
    """Two of its series are one when the labels are gone that are not an agent's to set."""

    def lines(self) -> Lines:
        """Give its samples."""
        plain = "".join(self.plain).encode()
        return Lines(plain, "".join(self.rich).encode() if self.has_exemplars else plain)


class Reader:
    """Reads one page in `slices`; `families` is what it has, once all of them are read."""

    def __init__(self, page: bytes, agent_id: str, instance_id: str) -> None:
        try:
            text = page.decode()
        except UnicodeDecodeError as error:
            raise Malformed(f"it is not UTF-8: {error}") from error
        *lines, end, rest = text.rsplit("\n", 2) if "\n" in text else ("", text)
        if (end, rest) != (_END, ""):
            raise Malformed(f"it does not end with {_END!r}: it was cut off, or is of another format")
        self._lines: Iterator[str] = iter(lines[0].split("\n") if lines else ())
        self._owner = f'agent="{escaped(agent_id)}",instance_id="{escaped(instance_id)}"'
        self.families: dict[str, ReadFamily] = {}
        self._family: ReadFamily | None = None
        self._names: tuple[str, ...] = ()
        self._created: str | None = None
        self._series: dict[str, bool] = {}
        """As they are kept, and whether a label had to go."""
        self._kept = 0
        self._histogram = _Histogram()

    def slices(self) -> Iterator[None]:
        """Read the page, and stop now and then to let others go on. Raises Malformed."""
        while taken := list(islice(self._lines, SLICE_LINES)):
            for line in taken:
                if line.startswith("#"):
                    self._describe(line)
                else:
                    self._sample(line)
            yield
        self._histogram.end()

    def _describe(self, line: str) -> None:
        found = _DESCRIPTOR.fullmatch(line)
        if found is None:
            raise Malformed(f"a line is no descriptor: {line[:80]!r}")
        what, name, value = found[1], found[2], found[3] or ""
        family = self._family
        if family is None or family.name != name:
            family = self._begin(name)
        elif family.plain:
            raise Malformed(f"{name} is described behind its samples")
        if what == "TYPE":
            if family.kind is not None:
                raise Malformed(f"{name} has two types")
            if value not in _KINDS:
                raise Malformed(f"{name} is of an unknown type, {value[:40]!r}")
            family.kind = cast("Kind", value)
            self._names = sample_names(name, family.kind)
            self._created = f"{name}_created" if family.kind in _WITH_CREATED else None
        elif what == "HELP":
            if family.text is not None:
                raise Malformed(f"{name} is explained twice")
            family.text = _unescaped(value)

    def _begin(self, name: str) -> ReadFamily:
        self._histogram.end()
        if name in self.families:
            raise Malformed(f"{name} is there twice")
        family = self.families[name] = self._family = ReadFamily(name)
        self._names, self._created = (), None
        return family

    def _sample(self, line: str) -> None:
        found = _SAMPLE.fullmatch(line)
        if found is None:
            raise Malformed(f"a line is no sample: {line[:80]!r}")
        name, labels, value, exemplar = found.groups()
        if name == self._created:
            return
        family = self._family
        if family is None or name not in self._names:
            raise Malformed(f"{name} stands under no family of that name, or under one without a type")
        if exemplar is not None and not name.endswith(_WITH_EXEMPLARS):
            raise Malformed(f"{name} has an exemplar")
        labels = labels or ""
        if family.kind == "histogram":
            self._histogram.take(name, labels, value)
        self._keep(family, name, self._own_labels(family, name, labels), value, exemplar or "")

    def _own_labels(self, family: ReadFamily, name: str, labels: str) -> str:
        """Give the labels without those that are not an agent's to set; raises Malformed for what is there twice."""
        given = labels
        if "," in labels or labels.startswith(_FOREIGN):
            labels = _without_foreign(name, labels)
        series = f"{name}{{{labels}}}"
        changed = labels != given
        before = self._series.setdefault(series, changed)
        if len(self._series) == self._kept:
            if not (before or changed):
                raise Malformed(f"{series[:80]} is there twice")
            family.repeats = True
        self._kept = len(self._series)
        return labels

    def _keep(self, family: ReadFamily, name: str, labels: str, value: str, exemplar: str) -> None:
        line = f"{name}{{{self._owner},{labels}}} {value}" if labels else f"{name}{{{self._owner}}} {value}"
        family.plain.append(line + "\n")
        family.rich.append(f"{line}{exemplar}\n")
        family.has_exemplars = family.has_exemplars or bool(exemplar)


class _Histogram:
    """Checks the buckets of one histogram after the other: bounds rise, counts do not fall, the last has no bound."""

    def __init__(self) -> None:
        self._labels: str | None = None
        self._bound = self._count = 0.0

    def take(self, name: str, labels: str, value: str) -> None:
        """Look at a sample of a histogram; raises Malformed."""
        if not name.endswith("_bucket"):
            self.end()
            return
        found = _BOUND.search(labels)
        if found is None:
            raise Malformed(f"a bucket of {name} has no bound")
        bound, count = float(found[1]), float(value)
        others = labels[: found.start()] + labels[found.end() :]
        if others != self._labels:
            self.end()
        elif not (bound > self._bound and count >= self._count):
            raise Malformed(f"the buckets of {name} do not rise at le={found[1]}")
        self._labels, self._bound, self._count = others, bound, count

    def end(self) -> None:
        """Look at the last bucket that was taken; raises Malformed."""
        if self._labels is not None and self._bound != float("inf"):
            raise Malformed("a histogram's last bucket has a bound")
        self._labels = None


def _without_foreign(name: str, labels: str) -> str:
    """Give the labels without those that are not an agent's to set; raises Malformed for one that is there twice."""
    given = [(one.partition("=")[0], one) for one in _ONE_LABEL.findall(labels)]
    if len({label for label, _ in given}) < len(given):
        raise Malformed(f"{name} has a label twice: {labels[:80]}")
    return ",".join(one for label, one in given if label not in _OVERWRITTEN)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: _UNESCAPED.get(found[1], found[0]), text)
