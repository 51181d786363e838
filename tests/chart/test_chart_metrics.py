"""Who is scraped, and what people look at."""

import json
from typing import Any

import pytest

from tests.chart.rendering import CHART, of_kind, render, the

MONITORS = ("ServiceMonitor", "PodMonitor", "ScrapeConfig")
COMPONENT = "app.kubernetes.io/component"


@pytest.mark.parametrize(
    ("collection", "kinds"),
    [("none", []), ("manager", ["ServiceMonitor"]), ("pods", ["PodMonitor"]), ("httpSD", ["ScrapeConfig"])],
)
def test_exactly_one_object_says_who_is_scraped(collection: str, kinds: list[str]) -> None:
    """Two of them would count everything twice."""
    assert [one["kind"] for one in of_kind(render("examples", metrics={"collection": collection}), *MONITORS)] == kinds


def monitor(collection: str) -> Any:
    """Give the spec of the monitor for this way of collecting."""
    (found,) = of_kind(render("examples", metrics={"collection": collection, "interval": "15s"}), *MONITORS)
    return found["spec"]


def test_the_managers_page_is_scraped_by_the_service_that_callers_use() -> None:
    """The headless one has the same pods behind it and must not be taken too."""
    objects = render("examples")
    wanted = monitor("manager")["selector"]["matchLabels"]
    chosen = [
        one["metadata"]["name"]
        for one in of_kind(objects, "Service")
        if wanted.items() <= one["metadata"]["labels"].items()
    ]
    assert chosen == ["agents-manager"]
    assert monitor("manager")["endpoints"] == [{"port": "http", "path": "/metrics", "interval": "15s"}]


def test_with_pods_managers_leave_out_what_agents_say_themselves() -> None:
    """Otherwise each series would be there twice; agents get the labels that they have on the manager's page."""
    spec = monitor("pods")
    assert spec["selector"]["matchExpressions"] == [
        {"key": COMPONENT, "operator": "In", "values": ["manager", "agent"]}
    ]
    (endpoint,) = spec["podMetricsEndpoints"]
    assert endpoint["params"] == {"scope": ["self"]}
    assert [one["targetLabel"] for one in endpoint["relabelings"]] == ["agent", "instance_id"]


def test_with_http_discovery_the_manager_says_who_there_is() -> None:
    """Its own page is found by the headless name, at each manager."""
    spec = monitor("httpSD")
    assert spec["params"] == {"scope": ["self"]}
    assert spec["httpSDConfigs"][0]["url"] == "http://agents-manager.fleet.svc:8080/api/prometheus/targets"
    assert spec["dnsSDConfigs"][0]["names"] == ["agents-managers.fleet.svc"]
    assert spec["scrapeInterval"] == "15s"


def test_each_dashboard_is_a_config_map_that_grafanas_sidecar_finds() -> None:
    """Its content is the file's, to the byte."""
    objects = render("examples")
    files = sorted((CHART / "files" / "dashboards").glob("*.json"))
    assert files
    for path in files:
        thing = the(objects, "ConfigMap", f"agents-dashboard-{path.stem}")
        assert thing["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert json.loads(thing["data"][path.name]) == json.loads(path.read_text())
    off = render("examples", metrics={"dashboards": {"enabled": False}})
    assert not [one for one in of_kind(off, "ConfigMap") if "dashboard" in one["metadata"]["name"]]


def test_each_file_of_alerts_is_a_prometheus_rule() -> None:
    """Expressions and `{{ $labels.agent }}` reach Prometheus as they are in the file."""
    files = sorted((CHART / "files" / "alerts").glob("*.yaml"))
    rules = of_kind(render("full"), "PrometheusRule")
    assert sorted(one["metadata"]["name"] for one in rules) == [f"fleet-{path.stem}" for path in files]
    for rule in rules:
        assert rule["metadata"]["labels"]["release"] == "kube-prometheus-stack"
        assert rule["spec"].keys() == {"groups"}
    assert of_kind(render("examples"), "PrometheusRule") == []
