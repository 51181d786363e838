"""The dashboards: current, sound PromQL, nothing that nobody exposes, panels that explain themselves."""

import json
import re
from typing import Any

import promql_parser
import pytest

from deploy.dashboards.generate import HERE, dashboards
from deploy.dashboards.show import Asked, asked
from tests.test_docs import documented_metrics

PROMETHEUS_OWN = {"scrape_duration_seconds", "scrape_samples_scraped"}
NAMES = ["fleet", "agent", "drain", "manager"]


def panels(name: str) -> list[dict[str, Any]]:
    """Give the panels of a dashboard."""
    found: list[dict[str, Any]] = json.loads((HERE / f"{name}.json").read_text())["panels"]
    return found


def test_the_files_are_what_the_code_makes() -> None:
    """Nobody edits them: `make dashboards` writes them."""
    assert {path.name: path.read_text() for path in HERE.glob("*.json")} == dict(dashboards())
    assert set(dashboards()) == {f"{name}.json" for name in NAMES}


@pytest.mark.parametrize("one", list(asked()), ids=lambda one: f"{one.dashboard} {one.panel}")
def test_every_expression_asks_for_metrics_that_there_are(one: Asked) -> None:
    """It is PromQL, and each name is one of the docs', a histogram's by its suffix."""
    promql_parser.parse(one.expression)
    known = documented_metrics()
    for name in re.findall(r"\b(?:agent|scrape)_\w+", re.sub(r"\{[^}]*\}|\b(?:by|on) \([^)]*\)", "", one.expression)):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        assert name in known or base in known or name in PROMETHEUS_OWN, name


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_explains_itself(name: str) -> None:
    """A title of its own among its kind, a sentence, a unit where there is an axis, a legend where there are lines."""
    found = panels(name)
    assert len({(panel["type"], panel["title"]) for panel in found}) == len(found)
    assert len({panel["id"] for panel in found}) == len(found)
    for panel in found:
        assert re.fullmatch(r"[A-Z0-9].*[.?]", panel["description"]), panel["title"]
        if panel["type"] != "table":
            assert panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert bool(target["legendFormat"]) == (panel["type"] == "timeseries")
        refs = [target["refId"] for target in panel["targets"]]
        assert refs == [chr(ord("A") + place) for place in range(len(refs))]


@pytest.mark.parametrize("one", list(asked()), ids=lambda one: f"{one.dashboard} {one.panel}")
def test_what_every_manager_tells_is_counted_once(one: Asked) -> None:
    """With two managers each tells of every agent: a sum over both would be twice what there is."""
    shared = r"\b(agent_(?!manager)\w+|agent_manager_(?:instances|instance_up|desired_state|drain\w*|grace\w+))\b"
    for position in (found.start() for found in re.finditer(shared + r"(?=[{\[) ])", one.expression)):
        before = one.expression[:position]
        opened = [
            match[0]
            for match in re.finditer(r"\b(?:max|min) (?:by \([^)]*\) )?\((?:rate\(|increase\()?$|max\($", before)
        ]
        assert opened, f"{one.expression[position : position + 40]} in {one.expression}"


@pytest.mark.parametrize("name", NAMES)
def test_panels_fit_beside_one_another(name: str) -> None:
    """24 columns, nothing over another."""
    taken: set[tuple[int, int]] = set()
    for panel in panels(name):
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells
