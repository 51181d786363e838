"""Tokens that Kubernetes gives to the agents' pods, in place of the one that all share."""

from typing import Any

from tests.chart.rendering import NAMESPACE, Object, of_kind, render, the

ON = {"auth": {"enabled": True, "serviceAccountTokens": True}}


def volume(objects: list[Object], deployment: str) -> Any:
    """Give the volume with what a pod says."""
    (found,) = (
        one
        for one in the(objects, "Deployment", deployment)["spec"]["template"]["spec"]["volumes"]
        if one["name"] == "auth"
    )
    return found


def test_an_agent_s_pod_gets_a_token_of_its_own_and_no_other() -> None:
    """For the manager alone, so that nobody can use it against the API server; the shared one is not mounted."""
    objects = render("examples", **ON)
    mounted = volume(objects, "agents-planner")
    assert mounted["projected"]["sources"] == [
        {"serviceAccountToken": {"audience": "agent-manager", "expirationSeconds": 3600, "path": "manager-token"}}
    ]
    assert "secret" not in mounted
    assert "secret" in volume(objects, "agents-manager")


def test_the_manager_is_told_the_audience_and_may_review_tokens() -> None:
    """Which is all that it may in the whole cluster."""
    objects = render("examples", **ON)
    (container,) = the(objects, "Deployment", "agents-manager")["spec"]["template"]["spec"]["containers"]
    assert {"name": "MANAGER_TOKEN_REVIEW_AUDIENCE", "value": "agent-manager"} in container["env"]
    (role,), (binding,) = of_kind(objects, "ClusterRole"), of_kind(objects, "ClusterRoleBinding")
    assert role["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    ]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "agents-manager", "namespace": NAMESPACE}]


def test_without_it_all_share_one_token_and_nothing_is_cluster_wide() -> None:
    """As it is out of the box."""
    objects = render("examples", auth={"enabled": True})
    assert "secret" in volume(objects, "agents-planner")
    assert of_kind(objects, "ClusterRole", "ClusterRoleBinding") == []
