"""`make audit` calls nothing clean that the advisory database did not judge."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deploy.audit import ACCEPTED, UNKNOWN, NoVerdictError, main, vulnerabilities

ROOT = Path(__file__).parent.parent.parent.parent
LOCKED = sorted((ROOT / "requirements").glob("*.txt"))
WEAK = {"id": "PYSEC-2026-1", "fix_versions": ["2.0"], "aliases": ["CVE-2026-0001"], "description": "x"}


def report(*packages: dict[str, Any]) -> str:
    """Give what pip-audit prints of these packages."""
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_sound_package_is_clean_and_a_weak_one_is_named() -> None:
    """With the version that mends it."""
    sound, weak = {"name": "a", "version": "1.0", "vulns": []}, {"name": "b", "version": "1.0", "vulns": [WEAK]}
    assert vulnerabilities(report(sound), {}) == []
    assert vulnerabilities(report(sound, weak), {}) == ["b 1.0: PYSEC-2026-1, fixed in 2.0"]


@pytest.mark.parametrize("known_as", ["PYSEC-2026-1", "CVE-2026-0001"])
def test_what_is_accepted_is_left_out_by_any_of_its_names(known_as: str) -> None:
    """And nothing else is."""
    other = {**WEAK, "id": "PYSEC-2026-2", "aliases": []}
    weak = {"name": "b", "version": "1.0", "vulns": [WEAK, other]}
    assert vulnerabilities(report(weak), {known_as: "is not used"}) == ["b 1.0: PYSEC-2026-2, fixed in 2.0"]


def test_what_is_accepted_has_a_reason() -> None:
    """An exception that nobody argued for is a hole."""
    assert all(len(reason) >= 20 for reason in ACCEPTED.values())


@pytest.mark.parametrize(
    "text",
    ["", "No known vulnerabilities found", "[]", report(), report({"name": "a", "skip_reason": "not found on PyPI"})],
)
def test_a_package_that_nobody_judged_is_not_clean(text: str) -> None:
    """An index without advisories has pip-audit skip every package, and end with 0."""
    with pytest.raises(NoVerdictError):
        vulnerabilities(text, {})


def test_without_a_verdict_it_says_so_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside this Python there is no pip-audit, so that nobody can be asked."""
    assert main([str(LOCKED[0])]) == UNKNOWN
    said = capsys.readouterr()
    assert said.err.startswith("cannot audit ")
    assert "This is no verdict" in said.err
    assert said.out == ""


def test_every_lock_file_is_audited() -> None:
    """One that is forgotten would be clean for ever."""
    listed = re.search(r"^AUDITED := .*addsuffix \.txt,([^)]+)\)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert listed is not None
    assert sorted(listed[1].split()) == [path.stem for path in LOCKED]
