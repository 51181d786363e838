"""Who may do what: the manager's rights, and who may talk to whom."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import NAMESPACE, Object, of_kind, render, the

GOLDEN: dict[str, list[Any]] = yaml.safe_load(Path(__file__).with_name("roles.yaml").read_text())
PROMETHEUS = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}}


def rights(role: Object) -> list[Any]:
    """Give each right of a Role as roles.yaml spells it."""
    return [
        [".".join(filter(None, (resource, group))), rule.get("resourceNames", []), rule["verbs"]]
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    ]


@pytest.mark.parametrize(
    ("rbac", "more"),
    [({}, []), ({"hpa": True}, GOLDEN["hpa"]), ({"keda": True}, GOLDEN["keda"])],
    ids=["plain", "hpa", "keda"],
)
def test_the_manager_has_these_rights_and_no_others(rbac: dict[str, Any], more: list[Any]) -> None:
    """Nothing of Secrets, nothing cluster-wide, no right to make or delete a pod."""
    objects = render("examples", rbac=rbac)
    roles = {one["metadata"]["name"]: rights(one) for one in of_kind(objects, "Role")}
    assert roles == {"agents-manager-lease": GOLDEN["lease"], "agents-manager-agents": GOLDEN["agents"] + more}
    assert of_kind(objects, "ClusterRole", "ClusterRoleBinding") == []


def test_an_agent_that_is_scaled_brings_the_rights_that_stop_and_start_need() -> None:
    """Without them a stopped agent would be scaled up again."""
    (role, *_) = [
        one
        for one in of_kind(render("full", rbac={"hpa": False, "keda": False}), "Role")
        if "agents" in one["metadata"]["name"]
    ]
    assert rights(role) == GOLDEN["agents"] + GOLDEN["hpa"] + GOLDEN["keda"]


def test_each_watched_namespace_has_a_role_for_the_managers_account() -> None:
    """A manager may order about what it watches, and nothing elsewhere."""
    objects = render("full")
    placed = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in of_kind(objects, "Role")}
    assert placed == {
        ("fleet", "fleet-manager-lease"),
        ("fleet", "fleet-manager-agents"),
        ("tenants", "fleet-manager-agents"),
    }
    for binding in of_kind(objects, "RoleBinding"):
        assert binding["roleRef"]["name"] == binding["metadata"]["name"]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "fleet-manager", "namespace": NAMESPACE}]


def test_rights_can_be_left_to_somebody_else() -> None:
    """Where the installer may not grant rights, and an account is given."""
    given: dict[str, Any] = {
        "rbac": {"create": False},
        "manager": {"serviceAccount": {"create": False, "name": "given"}},
    }
    objects = render(**given)
    assert of_kind(objects, "Role", "RoleBinding", "ServiceAccount") == []
    spec = the(objects, "Deployment", "agents-manager")["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "given"


def test_an_agent_can_have_an_account_of_its_own_or_one_that_is_there() -> None:
    """Rights in a cloud are given to accounts by their names."""
    objects = render("full")
    accounts = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]["serviceAccountName"]
        for one in of_kind(objects, "Deployment")
    }
    assert accounts == {
        "fleet-manager": "fleet-manager",
        "fleet-steady": "fleet-steady",
        "fleet-by-load": "shared",
        "fleet-by-queue": "default",
    }
    made = {one["metadata"]["name"] for one in of_kind(objects, "ServiceAccount")}
    assert made == {"fleet-manager", "fleet-steady"}


@pytest.mark.parametrize("collection", ["none", "manager", "pods", "httpSD"])
def test_agents_are_called_by_managers_alone_and_scraped_where_they_are(collection: str) -> None:
    """A NetworkPolicy for all agents of the release: their one port, from managers, and from Prometheus if it comes."""
    objects = render("examples", metrics={"collection": collection})
    policy = the(objects, "NetworkPolicy", "agents-agents")["spec"]
    assert policy["policyTypes"] == ["Ingress"]
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"port": "http", "protocol": "TCP"}]
    manager, *others = rule["from"]
    deployment = the(objects, "Deployment", "agents-manager")
    assert manager["podSelector"]["matchLabels"] == deployment["spec"]["selector"]["matchLabels"]
    assert others == ([PROMETHEUS] if collection in ("pods", "httpSD") else [])


def test_policies_choose_the_pods_that_they_are_for() -> None:
    """A selector that chooses nothing protects nothing."""
    objects = render("examples")
    deployments = of_kind(objects, "Deployment")
    chosen = {
        policy["metadata"]["name"]: {
            one["metadata"]["name"]
            for one in deployments
            if policy["spec"]["podSelector"]["matchLabels"].items()
            <= one["spec"]["template"]["metadata"]["labels"].items()
        }
        for policy in of_kind(objects, "NetworkPolicy")
    }
    assert chosen == {
        "agents-manager": {"agents-manager"},
        "agents-agents": {"agents-planner", "agents-executor", "agents-retriever"},
        "agents-test": set(),
    }


def test_the_manager_is_open_to_everyone_unless_callers_are_named() -> None:
    """Then its own adapters, the other managers, `helm test` and agents of other charts may still come."""
    (rule,) = the(render("examples"), "NetworkPolicy", "agents-manager")["spec"]["ingress"]
    assert "from" not in rule
    full = the(render("full"), "NetworkPolicy", "fleet-manager")["spec"]
    (rule,) = full["ingress"]
    named, release, *agents, prometheus = rule["from"]
    assert [one["namespaceSelector"]["matchLabels"] for one in agents] == [
        {"kubernetes.io/metadata.name": "fleet"},
        {"kubernetes.io/metadata.name": "tenants"},
    ]
    assert named == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "clients"}}}
    assert release["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/name": "agent-orchestration",
        "app.kubernetes.io/instance": "agents",
    }
    assert prometheus == PROMETHEUS


def test_bounded_egress_still_reaches_names_managers_and_agents() -> None:
    """Who bounds what pods may call must not have to think of DNS."""
    objects = render("full")
    for name, count in (("fleet-manager", 4), ("fleet-agents", 3)):
        policy = the(objects, "NetworkPolicy", name)["spec"]
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert len(policy["egress"]) == count
        assert {"port": 53, "protocol": "UDP"} in policy["egress"][1]["ports"]


def test_without_network_policies_there_is_none() -> None:
    """Where the cluster's own rules do it."""
    assert of_kind(render("examples", networkPolicy={"enabled": False}), "NetworkPolicy") == []
