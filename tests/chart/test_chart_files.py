"""The chart's own files: sound, and equal to what they are made of."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.helm.chart_readme import readme_text
from deploy.helm.values_schema import schema_text
from tests.chart.rendering import CHART, CI, ROOT, helm, values

MADE_BY = "run `make chart`"


@pytest.mark.parametrize("ci", [None, *CI])
def test_lint_finds_nothing(ci: str | None) -> None:
    """`helm lint --strict` has neither an error nor a warning, whatever values are given."""
    report = helm.lint(str(CHART), values(ci), strict=True, namespace="fleet")
    assert report["errors"] == []
    assert [message["error"] for message in report["messages"]] == ["icon is recommended"]


def test_the_schema_is_what_the_configuration_file_and_the_chart_say() -> None:
    """The chart accepts of `config` and `runtime` what the processes accept."""
    assert (CHART / "values.schema.json").read_text() == schema_text(), MADE_BY


def test_the_readme_is_made_of_the_comments_of_the_values() -> None:
    """A reader of the README finds each value as it is."""
    assert (CHART / "README.md").read_text() == readme_text(), MADE_BY


@pytest.mark.parametrize("folder", ["dashboards", "alerts"])
def test_dashboards_and_alerts_are_those_of_compose(folder: str) -> None:
    """Nobody looks at other panels, or is woken by other rules, because it is Kubernetes."""
    found = contents(ROOT / "deploy" / folder)
    assert found
    assert contents(CHART / "files" / folder) == found, MADE_BY


def test_every_value_of_the_chart_is_in_its_schema() -> None:
    """The schema refuses what values.yaml does not have, and knows all that it has."""
    helm.Chart.load(str(CHART)).validate_schema({})


def test_the_chart_has_the_versions_of_the_project() -> None:
    """The images that it runs unless told otherwise are those of this release."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    (version,) = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert chart["appVersion"] == version
    assert chart["name"] == CHART.name


def contents(folder: Path) -> dict[str, Any]:
    """Give the dashboards and the files of alerts of a folder; tests of alerts may lie beside them."""
    texts = {path.name: path.read_text() for path in sorted(folder.glob("*")) if path.suffix in (".json", ".yaml")}
    return {
        name: text
        for name, text in texts.items()
        if name.endswith(".json") or text.startswith("groups:") or "\ngroups:" in text
    }
