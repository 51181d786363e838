"""What checkov says of the rendered chart: nothing but what stands, with its reason, in checkov-exceptions.yaml."""

import json
import os
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CI, ROOT, render

CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"
EXCEPTIONS = yaml.safe_load(Path(__file__).with_name("checkov-exceptions.yaml").read_text())

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(os.environ.get("TEST_PROFILE") != "full", reason="TEST_PROFILE=full has checkov installed"),
]


def findings(folder: Path) -> set[tuple[str, str]]:
    """Give each finding of checkov in a folder: the check and the object."""
    command = [
        str(CHECKOV),
        "-d",
        str(folder),
        "--framework",
        "kubernetes",
        "--skip-download",
        "--quiet",
        "--compact",
        "-o",
        "json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    report: Any = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 500, "it looked at nothing"
    return {(one["check_id"], one["resource"]) for one in report["results"]["failed_checks"]}


def excuses(exception: dict[str, str], finding: tuple[str, str]) -> bool:
    """Tell whether an exception is about a finding."""
    return exception["check"] == finding[0] and fnmatch(finding[1], exception["objects"])


def test_checkov_finds_nothing_but_what_is_meant_so(tmp_path: Path) -> None:
    """Every finding has its reason, and every reason its finding."""
    for ci in CI:
        (tmp_path / f"{ci}.yaml").write_text(yaml.safe_dump_all(render(ci)))
    found = findings(tmp_path)
    assert {one for one in found if not any(excuses(exception, one) for exception in EXCEPTIONS)} == set()
    assert [one for one in EXCEPTIONS if not any(excuses(one, finding) for finding in found)] == []
