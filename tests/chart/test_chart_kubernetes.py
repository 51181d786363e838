"""Every object against the schemas that Kubernetes itself publishes, strictly: an unknown field is an error."""

import json
from collections.abc import Iterable
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

from tests.chart.rendering import CHART, CI, Object, containers, helm, render

OLDEST, NEWEST = 29, 35
OTHERS = ("monitoring.coreos.com/", "keda.sh/")
"""Kinds that clusters have by somebody else's definitions."""


@pytest.mark.parametrize("minor", range(OLDEST, NEWEST + 1))
def test_every_object_is_one_that_this_version_of_kubernetes_knows(minor: int) -> None:
    """An API server leaves out silently what it does not know."""
    for one in distinct(thing for ci in CI for thing in render(ci)):
        if minor == OLDEST:
            without_sleep(one)  # the chart refuses it there: see below
        kubernetes_validate.validate(one, f"1.{minor}", strict=True)


def test_the_oldest_version_is_the_one_that_the_chart_asks_for() -> None:
    """What is tested is what is promised."""
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"] == f">=1.{OLDEST}.0-0"


def test_a_sleep_before_sigterm_is_refused_where_kubernetes_would_drop_it(capfd: pytest.CaptureFixture[str]) -> None:
    """1.29 has the field behind a gate: the API server would take the object without it."""
    values = {"agents": {"planner": {"preStopSleepSeconds": 1}}}
    said = {}
    for version in ("v1.29.0", "v1.30.0"):
        helm.lint(str(CHART), values, strict=True, kube_version=version)  # which only prints what a chart refuses
        said[version] = "agents.planner.preStopSleepSeconds: needs Kubernetes 1.30" in capfd.readouterr().err
    assert said == {"v1.29.0": True, "v1.30.0": False}


def distinct(objects: Iterable[Object]) -> list[Object]:
    """Give the objects of Kubernetes' own kinds, one of those that differ in nothing that a schema sees."""
    ours = (one for one in objects if not one["apiVersion"].startswith(OTHERS))
    return list({json.dumps([one["kind"], shape(one)], sort_keys=True): one for one in ours}.values())


def shape(value: Any) -> Any:
    """Give a value with its texts and numbers replaced by their types."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def without_sleep(thing: Object) -> None:
    """Take away what preStop does."""
    if thing["kind"] == "Deployment":
        for container in containers(thing):
            container.pop("lifecycle", None)
