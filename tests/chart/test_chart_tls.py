"""Managers that speak HTTPS: whoever calls them does too, and trusts whom the values say."""

from typing import Any

import pytest
from kubernetes_validate import validate  # type: ignore[import-untyped]  # it has no types

from tests.chart.rendering import (
    Object,
    adapter,
    containers,
    environment,
    notes,
    of_kind,
    pod_spec,
    refusal,
    render,
    the,
)

ON = {"tls": {"existingSecret": "managers-tls", "trust": {"configMap": "authorities", "key": "bundle.pem"}}}
BUNDLE = "/etc/agent-orchestration-trust/ca-certificates.crt"


def manager(objects: list[Object]) -> dict[str, Any]:
    """Give the manager's container."""
    (found,) = containers(the(objects, "Deployment", "agents-manager"))
    return found


def volume(workload: Object, name: str) -> Any:
    """Give a volume of a workload's pods."""
    (found,) = (one for one in pod_spec(workload)["volumes"] if one["name"] == name)
    return found


def schemes(container: dict[str, Any]) -> set[str | None]:
    """Give by which schemes the kubelet asks."""
    kinds = ("startupProbe", "livenessProbe", "readinessProbe")
    return {container[kind]["httpGet"].get("scheme") for kind in kinds}


def test_the_manager_gets_the_secret_and_is_probed_by_https() -> None:
    """The kubelet wants nothing of a certificate, and shows none."""
    objects = render("examples", **ON)
    said = environment(manager(objects))
    assert said["MANAGER_TLS_CERT"] == "/etc/agent-orchestration-tls/tls.crt"
    assert said["MANAGER_TLS_KEY"] == "/etc/agent-orchestration-tls/tls.key"
    assert "MANAGER_TLS_CLIENT_CA" not in said
    assert schemes(manager(objects)) == {"HTTPS"}
    secret = volume(the(objects, "Deployment", "agents-manager"), "tls")["secret"]
    assert (secret["secretName"], secret["defaultMode"]) == ("managers-tls", 0o440)
    assert [item["key"] for item in secret["items"]] == ["tls.crt", "tls.key"]


def test_everyone_calls_it_by_https_and_trusts_the_bundle() -> None:
    """Adapters, the other managers, `helm test`, and whoever reads what a Service says of itself."""
    objects = render("examples", **ON)
    assert environment(adapter(objects, "agents-planner"))["MANAGER_URL"] == "https://agents-managers:8080"
    workloads = [the(objects, "Deployment", name) for name in ("agents-manager", "agents-planner")]
    (test,) = of_kind(objects, "Pod")
    assert environment(containers(test)[0])["AGENT_MANAGER_URL"] == "https://agents-manager:8080"
    for workload in (*workloads, test):
        (container,) = containers(workload)
        assert environment(container)["SSL_CERT_FILE"] == BUNDLE
        assert volume(workload, "trust")["configMap"] == {
            "name": "authorities",
            "items": [{"key": "bundle.pem", "path": "ca-certificates.crt"}],
        }
    ports = [port for service in of_kind(objects, "Service") for port in service["spec"]["ports"]]
    assert {port["appProtocol"] for port in ports} == {"https"}
    assert "https://localhost:8080/api/agent-services" in notes("examples", **ON)


def test_agents_are_called_and_probed_as_before() -> None:
    """No certificate could name the address of a pod."""
    objects = render("examples", **ON)
    assert schemes(adapter(objects, "agents-planner")) == {None}
    assert not [name for name in environment(adapter(objects, "agents-planner")) if name.startswith("AGENT_TLS")]


@pytest.mark.parametrize("collection", ["manager", "pods", "httpSD"])
def test_managers_are_scraped_by_https_under_the_name_of_their_certificate(collection: str) -> None:
    """And agents, whose pods speak plainly, as before."""
    (monitor,) = of_kind(
        render("examples", **ON, metrics={"collection": collection}), "ServiceMonitor", "PodMonitor", "ScrapeConfig"
    )
    spec = monitor["spec"]
    trusted = {
        "serverName": "agents-managers",
        "ca": {"configMap": {"name": "authorities", "key": "bundle.pem"}},
    }
    secure = {"targetLabel": "__scheme__", "replacement": "https"}
    if collection == "manager":
        assert (spec["endpoints"][0]["scheme"], spec["endpoints"][0]["tlsConfig"]) == ("https", trusted)
    elif collection == "pods":
        (endpoint,) = spec["podMetricsEndpoints"]
        assert endpoint["tlsConfig"] == trusted
        assert endpoint["relabelings"][-1] == secure | {
            "sourceLabels": ["__meta_kubernetes_pod_label_app_kubernetes_io_component"],
            "regex": "manager",
        }
    else:
        assert spec["httpSDConfigs"][0]["url"].startswith("https://")
        assert spec["httpSDConfigs"][0]["tlsConfig"] == spec["tlsConfig"] == trusted
        assert spec["relabelings"] == [secure | {"sourceLabels": ["__meta_dns_name"], "regex": ".+"}]


def test_without_it_nothing_speaks_or_trusts_otherwise() -> None:
    """As it is out of the box."""
    text = str(render("examples", metrics={"collection": "httpSD"}))
    for word in (
        "https",
        "HTTPS",
        "SSL_CERT_FILE",
        "agent-orchestration-tls",
        "agent-orchestration-trust",
        "tlsConfig",
    ):
        assert word not in text
    assert "https" not in notes("examples")


def test_a_certificate_that_the_image_trusts_needs_no_bundle() -> None:
    """Then nobody's trust is replaced."""
    objects = render("examples", tls={"existingSecret": "managers-tls"})
    assert "SSL_CERT_FILE" not in environment(adapter(objects, "agents-planner"))
    assert "MANAGER_TLS_CERT" in environment(manager(objects))


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"manager": {"extraEnv": [{"name": "MANAGER_TLS_CLIENT_CA", "value": "/ca"}]}}, "manager.extraEnv"),
        ({"agents": {"planner": {"env": [{"name": "AGENT_TLS_CERT", "value": "/c"}]}}}, "agents.planner.env"),
    ],
)
def test_a_certificate_given_past_the_values_is_refused(values: dict[str, Any], place: str) -> None:
    """The pod's probes would fail for ever, and nobody would know why."""
    said = refusal("examples", **values)
    assert f"{place}: " in said
    assert "the kubelet shows no certificate" in said


def test_what_is_rendered_is_what_kubernetes_knows() -> None:
    """Strictly: a field that it does not know is an error."""
    for one in render("examples", **ON):
        validate(one, "1.35", strict=True)
