"""SECURITY.md: each rule of the threat model has tests, which are there and of which `make check` runs one at least."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROWS = [
    line
    for line in (ROOT / "SECURITY.md").read_text().partition("\n| threat ")[2].splitlines()[2:]
    if line.startswith("|")
]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_there_is_a_threat_model() -> None:
    """An empty table would hold whatever it says."""
    assert len(ROWS) >= 50


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:60])
def test_a_rule_has_a_test_that_runs_everywhere(row: str) -> None:
    """A threat, a rule and tests; one of them needs nothing but Python."""
    _, threat, rule, tests, _ = row.split("|")
    assert threat.strip()
    assert rule.strip()
    found = TEST.findall(tests)
    assert found, tests
    for path, name in found:
        source = (ROOT / path).read_text()
        assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), f"{path} has no {name}"
    assert any("mark.full" not in (ROOT / path).read_text() for path, _ in found), tests
