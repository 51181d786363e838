"""Reading a page of OpenMetrics strictly."""

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

import pytest
from agent_manager.metrics.reading import SLICE_LINES, Malformed, Reader, ReadFamily
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.core import GaugeHistogramMetricFamily, Metric, UnknownMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

OWNER = 'agent="planner",instance_id="i-1"'
GAUGE = "# TYPE documents gauge\n"
HISTOGRAM = "# TYPE seconds histogram\n"


def read(*lines: str, instance_id: str = "i-1") -> dict[str, ReadFamily]:
    """Read a page of these lines, and its end."""
    reader = Reader("".join([*lines, "# EOF\n"]).encode(), "planner", instance_id)
    for _ in reader.slices():
        pass
    return reader.families


def plain(family: ReadFamily) -> str:
    """Give a family's lines without exemplars."""
    return family.lines().plain.decode()


def test_series_carry_their_owner() -> None:
    """With labels of their own, or none."""
    families = read(GAUGE, "# HELP documents Documents.\n", "documents 2\n", 'documents{kind="a,b"} -1.5e3\n')
    assert plain(families["documents"]) == f'documents{{{OWNER}}} 2\ndocuments{{{OWNER},kind="a,b"}} -1.5e3\n'
    assert (families["documents"].kind, families["documents"].text) == ("gauge", "Documents.")


def test_an_owner_cannot_break_out_of_its_label() -> None:
    """An instance's id is any text."""
    family = read(GAUGE, "documents 2\n", instance_id='"} 1\n\\%d')["documents"]
    assert plain(family) == 'documents{agent="planner",instance_id="\\"} 1\\n\\\\%d"} 2\n'


def test_labels_of_the_scrape_are_overwritten_or_dropped() -> None:
    """Whose a series is the manager says; the others are Prometheus's to say. Text within a value stays."""
    labels = 'agent="me",job="j",kind="pod=\\"x\\",job=",pod="p",namespace="n",instance="i",instance_id="i",podium="1"'
    family = read(GAUGE, f"documents{{{labels}}} 2\n", 'documents{pod="p"} 3\n')["documents"]
    kept = 'kind="pod=\\"x\\",job=",podium="1"'
    assert plain(family) == f"documents{{{OWNER},{kept}}} 2\ndocuments{{{OWNER}}} 3\n"
    assert not family.repeats


@pytest.mark.parametrize(
    "lines",
    [
        ('documents{pod="a"} 1\n', 'documents{pod="b"} 2\n'),
        ("documents 1\n", 'documents{pod="b"} 2\n'),
        ('documents{namespace="a"} 1\n', "documents 2\n"),
    ],
)
def test_series_that_only_such_a_label_told_apart_are_noted(lines: Iterable[str]) -> None:
    """They would be one series with two values."""
    assert read(GAUGE, *lines)["documents"].repeats


def test_exemplars_are_kept_apart() -> None:
    """Prometheus text has none."""
    exemplar = ' # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 0.3 1700000000.5'
    families = read(
        HISTOGRAM, f'seconds_bucket{{le="0.5"}} 1{exemplar}\n', 'seconds_bucket{le="+Inf"} 1\n', "seconds_count 1\n"
    )
    lines = families["seconds"].lines()
    assert lines.plain == lines.rich.replace(exemplar.encode(), b"")
    assert lines.rich.count(exemplar.encode()) == 1
    without = read(GAUGE, "documents 1\n")["documents"].lines()
    assert without.plain is without.rich


def test_timestamps_and_creation_times_are_left_out() -> None:
    """A page is of now; and nobody needs a series that says when another began."""
    counter = "# TYPE calls counter\n"
    families = read(counter, "calls_total 1 1700000000.5\n", "calls_created 1.7e9\n")
    assert plain(families["calls"]) == f"calls_total{{{OWNER}}} 1\n"


MALFORMED = {
    "cut off": "documents 1",
    "no end of the line": f"{GAUGE}documents",
    "a comment": "# a comment\n",
    "an empty line": "\n",
    "no family": "documents 1\n",
    "no type": "# HELP documents Documents.\ndocuments 1\n",
    "another's name": f"{GAUGE}document 1\n",
    "a suffix that is not of its type": f"{GAUGE}documents_total 1\n",
    "a gauge's creation": f"{GAUGE}documents_created 1\n",
    "two types": f"{GAUGE}# TYPE documents counter\n",
    "an unknown type": "# TYPE documents number\n",
    "explained twice": f"{GAUGE}# HELP documents A.\n# HELP documents B.\n",
    "described behind samples": f"{GAUGE}documents 1\n# HELP documents A.\n",
    "a family in two parts": f"{GAUGE}# TYPE x gauge\nx 1\n{GAUGE}",
    "no number": f"{GAUGE}documents one\n",
    "no value": f"{GAUGE}documents\n",
    "an underscore in a number": f"{GAUGE}documents 1_0\n",
    "two spaces": f"{GAUGE}documents  1\n",
    "a carriage return": f"{GAUGE}documents 1\r\n",
    "a bad label name": f'{GAUGE}documents{{0a="b"}} 1\n',
    "a bad escape": f'{GAUGE}documents{{a="\\t"}} 1\n',
    "an open quote": f'{GAUGE}documents{{a="b}} 1\n',
    "no comma": f'{GAUGE}documents{{a="b"c="d"}} 1\n',
    "a label twice": f'{GAUGE}documents{{a="b",a="c"}} 1\n',
    "a series twice": f'{GAUGE}documents{{a="b"}} 1\ndocuments{{a="b"}} 2\n',
    "an exemplar at a gauge": f'{GAUGE}documents 1 # {{a="b"}} 1\n',
    "a bucket without a bound": f"{HISTOGRAM}seconds_bucket 1\n",
    "bounds that fall": f'{HISTOGRAM}seconds_bucket{{le="2"}} 1\nseconds_bucket{{le="1"}} 1\n',
    "counts that fall": f'{HISTOGRAM}seconds_bucket{{le="1"}} 2\nseconds_bucket{{le="+Inf"}} 1\n',
    "no last bucket": f'{HISTOGRAM}seconds_bucket{{le="1"}} 2\nseconds_count 2\n',
    "no last bucket at the end": f'{HISTOGRAM}seconds_bucket{{le="1"}} 2\n',
    "no last bucket of two": f'{HISTOGRAM}seconds_bucket{{a="1",le="1"}} 2\nseconds_bucket{{a="2",le="+Inf"}} 1\n',
}


@pytest.mark.parametrize("page", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_page_is_refused(page: str) -> None:
    """As a whole: one bad line costs a scrape of the manager everything."""
    with pytest.raises(Malformed):
        read(page)


@pytest.mark.parametrize(
    "page", [b"", b"# EOF", b"documents 1\n", b"# EOF\n\n", b"# TYPE \xff gauge\n# EOF\n", b"# EOF\n# EOF\n"]
)
def test_a_page_has_its_end(page: bytes) -> None:
    """Half a page would look like a drop of every number."""
    with pytest.raises(Malformed):
        for _ in Reader(page, "planner", "i-1").slices():
            pass


def test_a_large_page_is_read_in_slices() -> None:
    """Others have the event loop in between."""
    page = GAUGE + "".join(f'documents{{n="{number}"}} 1\n' for number in range(3 * SLICE_LINES))
    assert sum(1 for _ in Reader(f"{page}# EOF\n".encode(), "planner", "i-1").slices()) == 4


class Rare(Collector):
    """Types that few libraries make."""

    def collect(self) -> Iterator[Metric]:
        """Give one of each."""
        unknown = UnknownMetricFamily("odd", "Odd.")
        unknown.add_metric([], 1)
        yield unknown
        sizes = GaugeHistogramMetricFamily("sizes", "Sizes.")
        sizes.add_metric([], [("1.0", 2), ("+Inf", 3)], 7)
        yield sizes


def samples(page: str) -> list[Sample]:
    """Give what the library reads."""
    families = text_string_to_metric_families(page)  # type: ignore[no-untyped-call]  # the library's
    return [sample for family in families for sample in family.samples]


def test_it_reads_all_that_the_library_writes() -> None:
    """Every type, awkward labels and texts; and the library, which is strict too, reads what comes of it."""
    registry = CollectorRegistry()
    awkward = 'a "quoted", \\ {}=\n text'
    Counter("calls", awkward, ["by"], registry=registry).labels(awkward).inc(exemplar={"trace_id": "a" * 32})
    for number, value in enumerate((float("inf"), float("-inf"), float("nan"), 1e300, 1e-300, 123456789.0)):
        Gauge(f"value_{number}", "A value.", registry=registry).set(value)
    Histogram("took_seconds", "Took.", ["by"], registry=registry).labels("x").observe(0.3, {"trace_id": "b" * 32})
    Summary("read_bytes", "Read.", registry=registry).observe(3)
    Info("build", "Built.", registry=registry).info({"version": "1"})
    Enum("mood", "Mood.", states=["calm", "busy"], registry=registry).state("busy")
    registry.register(Rare())
    page = generate_latest(registry).decode()  # type: ignore[no-untyped-call]  # the library's
    families = read(page.removesuffix("# EOF\n"))
    again = "".join(
        f"# TYPE {family.name} {family.kind}\n{family.lines().rich.decode()}" for family in families.values()
    )
    wanted = re.sub(r"^\S+_created.*\n", "", page, flags=re.MULTILINE)
    ours, theirs = samples(f"{again}# EOF\n"), samples(wanted)
    assert [(one.name, str(one.value), one.exemplar) for one in ours] == [
        (one.name, str(one.value), one.exemplar) for one in theirs
    ]
    assert [one.labels for one in ours] == [{"agent": "planner", "instance_id": "i-1", **one.labels} for one in theirs]
    assert families["calls"].text == awkward


def test_a_hostile_line_is_read_in_a_moment() -> None:
    """Reading takes time by the length of a line, not by its square: others wait for it."""
    value = ',agent="' * 60_000
    escaped = value.replace('"', '\\"')
    began = time.process_time()
    for labels in (f'a="{escaped}"', f'a="{escaped}",b="{escaped}"', "a" * 500_000, f'a="{escaped}'):
        with suppress(Malformed):
            read(GAUGE, f"documents{{{labels}}} 1\n")
    assert time.process_time() - began < 1


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60), st.text(max_size=60))
def test_any_text_is_read_or_refused(first: str, second: str) -> None:
    """Nothing else is raised, and what is read has whole lines."""
    for page in (first, f"{GAUGE}documents{{{first}}} {second}\n", f'{GAUGE}documents{{a="{first}"}} 1\n'):
        try:
            families = read(page)
        except (Malformed, UnicodeEncodeError):
            continue
        for family in families.values():
            assert all(line.startswith(f"{family.name}{{{OWNER}") for line in family.plain)
