"""What instances' own pages add to the manager's: their families, as long as no two stand in one another's way.

The product's families are there from the start, with a kind of their own. Any other belongs to the first instance that
brings it: one that calls it another kind, or whose series have the names of another family's, is left out, as the page
would be two answers to one question. It ends with the last instance that has it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal, get_args

import structlog
from agent_contract.adapter_families import ADAPTER_FAMILIES

from agent_manager.metrics.families import Family, sample_names
from agent_manager.metrics.reading import ReadFamily

MOST_SERIES: Final = 1000
"""Of one instance. The product's are 59."""
MOST_SERIES_OF_ALL: Final = 200_000
"""That agents registered themselves, of all instances: some 30 MB here, and what a small Prometheus stands."""
RESERVED: Final = "agent_manager_"
"""What the manager's own families begin with."""
_MOST_COMPLAINTS: Final = 1000

Refusal = Literal[
    "no-answer",
    "bad-answer",
    "malformed",
    "reserved-name",
    "name-taken",
    "type-conflict",
    "duplicate-series",
    "too-many-series",
]
"""Why a page (the first three) or a family of one was not carried."""
REFUSALS: Final[tuple[Refusal, ...]] = get_args(Refusal)

log = structlog.stdlib.get_logger(__name__)


class Carried:
    """The families of all instances. `refused` is told of each thing that was not taken."""

    def __init__(self, refused: Callable[[Refusal], None]) -> None:
        self._refused = refused
        self._families: dict[str, Family] = {}
        self._claims: dict[str, str] = {}
        self._of: dict[str, dict[str, int]] = {}
        """By instance, how many series it has in which family."""
        self._others = 0
        self._complaints: dict[tuple[str, str, str], None] = {}
        for name, facts in ADAPTER_FAMILIES.items():
            self._open(Family(name, facts.kind, facts.text))

    def families(self) -> Iterator[Family]:
        """Give the families as they are now, the product's first."""
        return iter(tuple(self._families.values()))

    def put(self, agent_id: str, instance_id: str, page: Iterable[ReadFamily]) -> bool:
        """Take an instance's page in the place of the one before; tells whether nothing of it was left out."""
        before = self._of.get(instance_id, {})
        self._others -= _others(before)
        taken: dict[str, int] = {}
        whole = True
        for read in page:
            series = len(read.plain)
            why = self._reason_against(read, sum(taken.values()) + series, self._others + _others(taken) + series)
            if why is not None:
                whole = False
                self.complain(agent_id, instance_id, why, read.name)
            elif read.kind is not None and series:
                self._family(read).put(instance_id, read.lines())
                taken[read.name] = series
        self._of[instance_id] = taken
        self._others += _others(taken)
        for name in before.keys() - taken.keys():
            self._leave(name, instance_id)
        return whole

    def drop(self, instance_id: str) -> None:
        """Let an instance go with all it has."""
        taken = self._of.pop(instance_id, {})
        self._others -= _others(taken)
        for name in taken:
            self._leave(name, instance_id)

    def complain(self, agent_id: str, instance_id: str, reason: Refusal, detail: str) -> None:
        """Count what was not taken, and say it once."""
        self._refused(reason)
        complaint = (agent_id, reason, detail)
        if reason == "no-answer" or complaint in self._complaints:  # who does not answer is told of by the probes
            return
        self._complaints[complaint] = None
        if len(self._complaints) > _MOST_COMPLAINTS:
            del self._complaints[next(iter(self._complaints))]
        log.warning("metrics not carried", agent=agent_id, instance_id=instance_id, reason=reason, detail=detail)

    def _reason_against(self, read: ReadFamily, series: int, others: int) -> Refusal | None:
        if read.kind is None:
            return None
        if read.name.startswith(RESERVED):
            return "reserved-name"
        known = self._families.get(read.name)
        if known is not None and known.kind != read.kind:
            return "type-conflict"
        names = (read.name, *sample_names(read.name, read.kind))
        if any(self._claims.get(name, read.name) != read.name for name in names):
            return "name-taken"
        if read.repeats:
            return "duplicate-series"
        crowded = read.name not in ADAPTER_FAMILIES and others > MOST_SERIES_OF_ALL
        return "too-many-series" if crowded or series > MOST_SERIES else None

    def _family(self, read: ReadFamily) -> Family:
        known = self._families.get(read.name)
        if known is not None:
            return known
        return self._open(Family(read.name, read.kind or "unknown", read.text or ""))

    def _open(self, family: Family) -> Family:
        self._families[family.name] = family
        for name in (family.name, *family.series):
            self._claims[name] = family.name
        return family

    def _leave(self, name: str, instance_id: str) -> None:
        family = self._families[name]
        family.drop(instance_id)
        if not family and name not in ADAPTER_FAMILIES:
            del self._families[name]
            for series in {name, *family.series}:
                del self._claims[series]


def _others(taken: dict[str, int]) -> int:
    """Give how many of these series are of families that are not the product's."""
    return sum(series for name, series in taken.items() if name not in ADAPTER_FAMILIES)
