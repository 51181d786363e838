"""The pods of managers and agents: confined, found by their labels, and given the time that they need."""

from typing import Any

import pytest

from tests.chart.rendering import (
    CI,
    RELEASE,
    WORKLOADS,
    adapter,
    containers,
    environment,
    of_kind,
    pod_spec,
    render,
    the,
)

LABEL = "agent-orchestration.dev/agent"
EXTRA = ("agents-extra", "fleet-text", "echo-code")
"""What ci/ has in `extraObjects`: rendered as it is."""
AGENT: dict[str, Any] = {"config": {"entryPoint": "code:run"}}


@pytest.mark.parametrize("ci", [None, *CI])
def test_every_pod_is_what_pod_security_restricted_admits(ci: str | None) -> None:
    """No root, no capability, no new privileges, seccomp on; also of containers that users bring."""
    for workload in of_kind(render(ci), *WORKLOADS):
        spec = pod_spec(workload)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        for container in containers(workload):
            assert container["securityContext"]["allowPrivilegeEscalation"] is False, container["name"]
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, container["name"]


@pytest.mark.parametrize("ci", [None, *CI])
def test_our_own_containers_have_a_root_that_cannot_be_written_and_bounds(ci: str | None) -> None:
    """What is written is bounded, and so is memory; CPU is not, for throttling makes heartbeats late."""
    for workload in of_kind(render(ci), *WORKLOADS):
        ours = [one for one in containers(workload) if one["name"] in ("manager", "adapter", "test")]
        assert len(ours) == 1
        assert ours[0]["securityContext"]["readOnlyRootFilesystem"] is True
        assert ours[0]["resources"]["requests"].keys() == {"cpu", "memory"}
        assert ours[0]["resources"]["limits"].keys() == {"memory"}
        empty = [volume["emptyDir"] for volume in pod_spec(workload)["volumes"] if "emptyDir" in volume]
        assert all("sizeLimit" in one for one in empty)


@pytest.mark.parametrize("ci", [None, *CI])
def test_only_the_manager_can_talk_to_the_api_server(ci: str | None) -> None:
    """An agent has no token unless it asks for one, and never that of the manager."""
    objects = render(ci)
    mounted = {
        pod_spec(one)["serviceAccountName"]
        for one in of_kind(objects, "Deployment")
        if pod_spec(one)["automountServiceAccountToken"]
    }
    managers = {pod_spec(one)["serviceAccountName"] for one in of_kind(objects, "Deployment") if not agent_of(one)}
    asked = {"fleet-steady"} if ci == "full" else set()
    assert mounted == managers | asked
    assert not managers & {
        pod_spec(one)["serviceAccountName"] for one in of_kind(objects, "Deployment") if agent_of(one)
    }


def test_labels_tell_managers_agents_and_the_headless_service_apart() -> None:
    """Whoever looks for the manager's Service finds one, and the manager finds each agent by its label."""
    objects = render("examples")
    components = {one["metadata"]["name"]: component(one["metadata"]) for one in of_kind(objects, "Service")}
    assert components == {"agents-manager": "manager", "agents-managers": "manager-peers"}
    agents = {agent_of(one): one for one in of_kind(objects, "Deployment") if agent_of(one)}
    assert set(agents) == {"planner", "executor", "retriever"}
    for agent_id, workload in agents.items():
        assert workload["spec"]["template"]["metadata"]["labels"][LABEL] == agent_id
        assert workload["metadata"]["name"] == f"{RELEASE}-{agent_id}"


@pytest.mark.parametrize("ci", CI)
def test_every_object_has_the_standard_labels(ci: str) -> None:
    """`kubectl get all -l app.kubernetes.io/instance=...` shows the whole release."""
    for thing in render(ci):
        if thing["metadata"]["name"] in EXTRA:
            continue
        labels = thing["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "agent-orchestration"
        assert labels["app.kubernetes.io/instance"] == RELEASE
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert {"app.kubernetes.io/component", "app.kubernetes.io/version", "helm.sh/chart"} <= labels.keys()


@pytest.mark.parametrize("ci", CI)
def test_selectors_select_the_pods_of_their_own_workload_alone(ci: str) -> None:
    """Two Deployments with one selector would take one another's pods."""
    deployments = of_kind(render(ci), "Deployment")
    for one in deployments:
        selector = one["spec"]["selector"]["matchLabels"]
        chosen = [d["metadata"]["name"] for d in deployments if selector.items() <= pod_labels(d).items()]
        assert chosen == [one["metadata"]["name"]]
        assert not [label for label in pod_labels(one) if "version" in label or "chart" in label]


@pytest.mark.parametrize(
    ("changes", "grace", "told"),
    [
        ({}, 35, "35"),
        ({"config": {"drainTimeoutSeconds": 0}}, 5, "5"),
        ({"config": {"drainTimeoutSeconds": 90.5}}, 96, "96"),
        ({"config": {"drainTimeoutSeconds": 300}, "preStopSleepSeconds": 10}, 315, "305"),
        ({"terminationGracePeriodSeconds": 400}, 400, "400"),
    ],
)
def test_the_grace_period_holds_what_comes_before_the_kill(changes: dict[str, Any], grace: int, told: str) -> None:
    """preStop, the drain, and 5 s for last words; the adapter is told what is left of it at SIGTERM."""
    objects = render(agents={"planner": AGENT | changes})
    assert pod_spec(the(objects, "Deployment", "agents-planner"))["terminationGracePeriodSeconds"] == grace
    assert environment(adapter(objects, "agents-planner"))["TERMINATION_GRACE_SECONDS"] == told


def test_the_sleep_before_sigterm_is_the_kubelets_own() -> None:
    """An image without a shell has no `sleep` to run."""
    objects = render(agents={"planner": AGENT | {"preStopSleepSeconds": 10}, "other": AGENT})
    assert adapter(objects, "agents-planner")["lifecycle"] == {"preStop": {"sleep": {"seconds": 10}}}
    assert "lifecycle" not in adapter(objects, "agents-other")


def test_a_leaving_manager_has_time_for_the_calls_of_the_slowest_agent() -> None:
    """A call may last as long as the drain of the agent that has it: quiet time, that, and 5 s."""
    assert (
        pod_spec(the(render("examples"), "Deployment", "agents-manager"))["terminationGracePeriodSeconds"]
        == 5 + 300 + 5
    )
    assert pod_spec(the(render(), "Deployment", "agents-manager"))["terminationGracePeriodSeconds"] == 5 + 30 + 5
    said = render("examples", runtime={"managerDrainTimeoutSeconds": 10, "managerQuietSeconds": 0.5})
    assert pod_spec(the(said, "Deployment", "agents-manager"))["terminationGracePeriodSeconds"] == 16


def test_a_rollout_starts_a_pod_before_it_ends_one() -> None:
    """One instance is enough for no call to wait."""
    for one in of_kind(render("examples"), "Deployment"):
        assert one["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_only_its_own_configuration_restarts_a_pod() -> None:
    """One agent's change touches neither the managers nor the other agents, nor does a new chart version."""
    before = {one["metadata"]["name"]: one["spec"]["template"] for one in of_kind(render("examples"), "Deployment")}
    changed = render("examples", agents={"planner": {"config": {"description": "Another"}}})
    after = {one["metadata"]["name"]: one["spec"]["template"] for one in of_kind(changed, "Deployment")}
    assert {name for name in before if before[name] != after[name]} == {"agents-planner"}
    held = of_kind(render("examples", runtime={"holdSeconds": 5}), "Deployment")
    assert {one["metadata"]["name"] for one in held if one["spec"]["template"] != before[one["metadata"]["name"]]} == {
        "agents-manager"
    }


def test_an_agent_has_what_its_values_say_over_what_all_have() -> None:
    """Zero counts, maps are merged key by key, lists are replaced."""
    objects = render(
        agentDefaults={"image": {"repository": "all", "tag": "1"}, "env": [{"name": "A", "value": "1"}], "replicas": 3},
        agents={
            "planner": {"image": {"tag": "2"}, "replicas": 0, "resources": {"limits": {"memory": "1Gi"}}},
            "other": {"env": [{"name": "B", "value": "1"}], "image": "registry.example/other:3"},
        },
    )
    assert the(objects, "Deployment", "agents-planner")["spec"]["replicas"] == 0
    assert the(objects, "Deployment", "agents-other")["spec"]["replicas"] == 3
    planner, other = adapter(objects, "agents-planner"), adapter(objects, "agents-other")
    assert planner["image"] == "all:2"
    assert planner["resources"] == {"limits": {"memory": "1Gi"}, "requests": {"cpu": "50m", "memory": "128Mi"}}
    assert environment(planner)["A"] == "1"
    assert other["image"] == "registry.example/other:3"
    assert "A" not in environment(other)


def test_whoever_scales_by_itself_is_not_overruled_by_a_count() -> None:
    """With an autoscaler `replicas` is not rendered, and each upgrade leaves its count alone."""
    objects = render("full")
    counted = {one["metadata"]["name"] for one in of_kind(objects, "Deployment") if "replicas" in one["spec"]}
    assert counted == {"fleet-manager", "fleet-steady"}
    scaled = {
        one["kind"]: one["spec"]["scaleTargetRef"]["name"]
        for one in of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject")
    }
    assert scaled == {"HorizontalPodAutoscaler": "fleet-by-load", "ScaledObject": "fleet-by-queue"}


def test_a_budget_lets_one_pod_go_and_holds_no_node_up_for_a_paused_agent() -> None:
    """One a time for `kubectl drain`, and pods that are not ready at any time."""
    budgets = {one["metadata"]["name"]: one["spec"] for one in of_kind(render("examples"), "PodDisruptionBudget")}
    assert set(budgets) == {"agents-manager", "agents-planner", "agents-executor", "agents-retriever"}
    for spec in budgets.values():
        assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    assert of_kind(render("examples", podDisruptionBudgets={"enabled": False}), "PodDisruptionBudget") == []


def test_the_foreign_agent_starts_before_the_adapter_and_ends_after_it() -> None:
    """A native sidecar is an init container that goes on; the adapter is the pod's one main container."""
    spec = pod_spec(the(render("sidecar"), "Deployment", "agents-echo"))
    assert [one["name"] for one in spec["containers"]] == ["adapter"]
    assert [one["restartPolicy"] for one in spec["initContainers"]] == ["Always"]


def component(metadata: dict[str, Any]) -> str:
    """Give what part of the release an object is."""
    return str(metadata["labels"]["app.kubernetes.io/component"])


def agent_of(workload: dict[str, Any]) -> str | None:
    """Give the agent that a workload runs, or None."""
    found: str | None = workload["metadata"]["labels"].get(LABEL)
    return found


def pod_labels(deployment: dict[str, Any]) -> dict[str, str]:
    """Give the labels of the pods that a Deployment makes."""
    labels: dict[str, str] = deployment["spec"]["template"]["metadata"]["labels"]
    return labels
