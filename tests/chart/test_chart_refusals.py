"""What the chart refuses, and that it says where and why."""

from typing import Any

import pytest

from tests.chart.rendering import refusal, render

AGENT: dict[str, Any] = {"config": {"entryPoint": "code:run"}}


def of_agent(**changes: Any) -> str:
    """Give the refusal of an agent `planner` with these keys."""
    return refusal(agents={"planner": AGENT | changes})


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"colour": "blue"}, "colour"),
        ({"manager": {"colour": "blue"}}, "/manager"),
        ({"manager": {"image": {"colour": "blue"}}}, "colour"),
        ({"auth": {"colour": "blue"}}, "/auth"),
        ({"runtime": {"discovery": {}}}, "discovery"),
        ({"runtime": {"managerUrl": "http://x:1"}}, "managerUrl"),
        ({"metrics": {"rules": {"colour": "blue"}}}, "/metrics/rules"),
        ({"agents": {"planner": AGENT | {"colour": "blue"}}}, "/agents/planner"),
        ({"agents": {"planner": {"config": {"colour": "blue"}}}}, "/agents/planner/config"),
        ({"agents": {"planner": AGENT | {"autoscaling": {"colour": "blue"}}}}, "/agents/planner/autoscaling"),
        ({"agentDefaults": {"config": {"entryPoint": "code:run"}}}, "entryPoint"),
    ],
)
def test_an_unknown_key_is_refused_wherever_it_stands(changes: dict[str, Any], place: str) -> None:
    """A misspelt value is no value that is silently not there."""
    said = refusal(**changes)
    assert place in said
    assert "not allowed" in said


@pytest.mark.parametrize("key", ["id", "port", "host", "environment"])
def test_what_the_chart_decides_is_no_key_of_an_agent(key: str) -> None:
    """The id is the key above it, the address is the pod's, and variables stand in `env`."""
    value: Any = {"id": "x", "port": 8100, "host": "127.0.0.1", "environment": {}}[key]
    assert key in of_agent(config={key: value})


@pytest.mark.parametrize("agent_id", ["Planner", "a_b", "-a", "a" * 64])
def test_an_agent_whose_id_is_no_dns_label_is_refused(agent_id: str) -> None:
    """As the processes refuse it, but before anything is installed."""
    assert agent_id in refusal(agents={agent_id: AGENT})


@pytest.mark.parametrize(
    "changes", [{"drainTimeoutSeconds": -1}, {"maxConcurrency": 0}, {"entryPoint": "code"}, {"logLevel": "loud"}]
)
def test_a_value_that_the_adapter_would_refuse_is_refused(changes: dict[str, Any]) -> None:
    """A pod that exits 2 is found too late."""
    assert next(iter(changes)) in of_agent(config=changes)


def test_a_grace_period_that_cannot_hold_the_drain_is_refused_with_its_numbers() -> None:
    """The kubelet would kill it at the end of the grace period, whatever runs."""
    said = of_agent(config={"drainTimeoutSeconds": 300}, preStopSleepSeconds=10, terminationGracePeriodSeconds=60)
    assert "agents.planner.terminationGracePeriodSeconds: 60 s" in said
    assert "preStopSleepSeconds 10 + drainTimeoutSeconds 300 + 5 = 315 s" in said
    assert "set at least 315" in said


def test_a_grace_period_is_refused_for_the_drain_that_all_agents_share() -> None:
    """The drain comes from `runtime` where the agent says nothing."""
    said = refusal(
        runtime={"drainTimeoutSeconds": 120}, agents={"planner": AGENT | {"terminationGracePeriodSeconds": 124}}
    )
    assert "drainTimeoutSeconds 120 + 5 = 125 s" in said


@pytest.mark.parametrize(
    ("config", "both"),
    [
        ({"entryPoint": "code:run", "upstream": "http://127.0.0.1:9000"}, "entryPoint and upstream"),
        ({"entryPoint": "code:run", "command": ["node"]}, "entryPoint and command"),
    ],
)
def test_an_agent_with_two_ways_to_run_is_refused(config: dict[str, Any], both: str) -> None:
    """Nobody would know which of them runs."""
    assert f"agents.planner.config: has {both}" in of_agent(config=config)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("AGENT_DRAIN_TIMEOUT_SECONDS", "set agents.planner.config.drainTimeoutSeconds"),
        ("DRAIN_TIMEOUT_SECONDS", "set agents.planner.config.drainTimeoutSeconds"),
        ("TERMINATION_GRACE_SECONDS", "is set by the chart"),
        ("MANAGER_URL", "is set by the chart"),
        ("AGENT_PORT", "is set by the chart"),
    ],
)
def test_a_variable_that_would_undo_what_the_chart_computed_is_refused(name: str, advice: str) -> None:
    """A longer drain that the grace period does not know of is cut without a word."""
    said = of_agent(env=[{"name": name, "value": "600"}])
    assert f"agents.planner.env: {name}" in said
    assert advice in said


@pytest.mark.parametrize(
    ("autoscaling", "said"),
    [
        ({"type": "hpa"}, "scaled by nothing"),
        ({"type": "hpa", "targetCPUUtilizationPercentage": 50, "triggers": [{"type": "cron"}]}, "are for type: keda"),
        ({"type": "keda"}, "agents.planner.autoscaling.triggers: KEDA scales by none"),
        ({"type": "keda", "triggers": [{"type": "cron"}], "targetCPUUtilizationPercentage": 50}, "are for type: hpa"),
        (
            {"type": "hpa", "targetCPUUtilizationPercentage": 50, "minReplicas": 9},
            "maxReplicas 5 is less than minReplicas 9",
        ),
        ({"type": "hpa", "targetCPUUtilizationPercentage": 50, "minReplicas": 0}, "an HPA does not scale to 0"),
        ({"type": "vpa"}, "/agents/planner/autoscaling/type"),
    ],
)
def test_autoscaling_that_could_not_work_is_refused(autoscaling: dict[str, Any], said: str) -> None:
    """Each with the reason."""
    assert said in of_agent(autoscaling={"enabled": True} | autoscaling)


def test_auth_without_credentials_is_refused() -> None:
    """A manager that listens beyond loopback asks who calls, or is told on purpose not to."""
    assert "auth.existingSecret: name a Secret" in refusal(auth={"generate": False})


def test_an_agent_may_not_take_the_managers_name() -> None:
    """Its objects would be the manager's."""
    assert "agents.manager" in refusal(agents={"manager": AGENT})


def test_an_agent_needs_nothing_but_an_image_that_knows_the_rest() -> None:
    """What its image sets by variables (AGENT_ENTRY_POINT) need not be said again."""
    assert render(agents={"planner": {"image": "planner:1"}, "other": {}})
