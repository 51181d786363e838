"""`agentctl describe agent`: whether its drain timeout is long enough, by what the manager measured."""

import pytest
from agentctl.grace import sentence

from tests.agentctl.command import invoke
from tests.agentctl.fake_manager import FakeManager, Reply, agent, instance

PLANNER = "/api/agent-services/planner"
PAGE = """# HELP agent_manager_grace_tasks Tasks.
# TYPE agent_manager_grace_tasks gauge
agent_manager_grace_tasks{agent="planner-2"} 7.0
agent_manager_grace_tasks{agent="planner"} 1204.0
agent_manager_grace_cut_ratio{agent="planner"} 0.0207
agent_manager_grace_needed_seconds{agent="planner"} 120.0
"""
SAID = "the drain timeout would have cut 2.1 % of 1,204 tasks of the last 7 days; 2m would cut none"


@pytest.mark.parametrize(
    ("tasks", "ratio", "needed", "said"),
    [
        (1204, 0.0207, 120.0, SAID),
        (
            1,
            1.0,
            float("inf"),
            "the drain timeout would have cut 100 % of 1 task of the last 7 days; some took over an hour",
        ),
        (
            50_000,
            0.00002,
            60.0,
            "the drain timeout would have cut 0.1 % of 50,000 tasks of the last 7 days; 1m would cut none",
        ),
        (9, 0.0, 5.0, "the drain timeout would have cut none of 9 tasks of the last 7 days"),
    ],
)
def test_the_sentence_says_what_was_measured(tasks: int, ratio: float, needed: float, said: str) -> None:
    """And what would have been enough."""
    assert sentence(tasks, ratio, needed) == said


@pytest.mark.parametrize(("page", "said"), [(PAGE, SAID), ("", None), (PAGE.replace("1204", "0"), None)])
def test_describe_says_it_where_it_is_known(manager: FakeManager, page: str, said: str | None) -> None:
    """Of this agent, and not where no task was measured."""
    manager.on("GET", PLANNER, agent("planner", instance()))
    manager.on("GET", f"{PLANNER}/actions", {"actions": []})
    manager.on("GET", "/metrics", Reply(raw=page.encode()))
    told = invoke("describe", "agent", "planner", manager=manager.url).stdout
    assert [line.split(None, 1)[1] for line in told.splitlines() if line.startswith("Grace")] == (
        [said] if said else []
    )
    assert manager.last("GET").query == {"scope": "self"}


def test_describe_tells_the_rest_when_a_manager_has_no_metrics(manager: FakeManager) -> None:
    """An older one, or one behind a proxy that does not let this through."""
    manager.on("GET", PLANNER, agent("planner", instance()))
    manager.on("GET", f"{PLANNER}/actions", {"actions": []})
    run = invoke("describe", "agent", "planner", manager=manager.url)
    assert run.returncode == 0, run.stderr
    assert "Grace" not in run.stdout
    assert "Name:" in run.stdout
