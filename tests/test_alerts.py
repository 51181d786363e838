"""The alerts: sound PromQL, metrics that there are, and for each a word on what to do."""

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tests.test_docs import documented_metrics

ROOT = Path(__file__).parent.parent
ALERTS = ROOT / "deploy" / "alerts"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((ALERTS / "agents.yaml").read_text())["groups"] for rule in group["rules"]
]
PROMISED = {
    "AgentDown",
    "AgentDrainOverdue",
    "AgentDrainSilent",
    "AgentTasksCut",
    "AgentDrainLost",
    "AgentQueueGrowing",
    "AgentGraceTooShort",
    "AgentManagerAbsent",
    "AgentManagerMassLoss",
    "AgentManagerWatchStale",
}


def test_there_is_an_alert_for_each_thing_that_somebody_should_see() -> None:
    """By the names of the runbook."""
    assert {rule["alert"] for rule in RULES} == PROMISED


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_asks_for_metrics_that_there_are(rule: dict[str, Any]) -> None:
    """And is PromQL."""
    promql_parser.parse(rule["expr"])
    names = re.findall(r"\bagent_\w+", re.sub(r"\{[^}]*\}|\b(?:by|on) \([^)]*\)", "", rule["expr"]))
    assert names
    assert set(names) <= documented_metrics().keys()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_how_much_and_what_to_do(rule: dict[str, Any]) -> None:
    """A summary, a description with the value, and a place in the runbook."""
    said = rule["annotations"]
    assert said["summary"].endswith(".")
    assert "$value" in said["description"] or rule["alert"] == "AgentDown"
    page, _, anchor = said["runbook_url"].partition("#")
    text = (ROOT / page).read_text()
    assert anchor == rule["alert"].lower()
    (section,) = re.findall(rf"^## {rule['alert']}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert all(f"**{word}.**" in section for word in ("Means", "Look", "Do"))
    assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_the_runbook_has_no_alert_that_there_is_not() -> None:
    """What is gone is gone there too."""
    assert set(re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)) == PROMISED


def test_every_alert_is_tested_both_ways() -> None:
    """`promtool test rules` runs these where there is an engine: each fires when it should, and once it does not."""
    tests = yaml.safe_load((ALERTS / "agents_test.yaml").read_text())["tests"]
    cases = [(case["alertname"], bool(case["exp_alerts"])) for test in tests for case in test["alert_rule_test"]]
    assert {name for name, fires in cases if fires} == PROMISED
    series = {one["series"] for test in tests for one in test["input_series"]}
    assert all(any(name in one for one in series) for name in ("few", "steady", "stopped", "fine"))
