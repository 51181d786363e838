"""`agentctl describe`: all that is known, for a person."""

from tests.agentctl.command import agentctl, invoke
from tests.agentctl.fake_manager import FakeManager, agent, instance

PLANNER = "/api/agent-services/planner"


def test_describe_agent_tells_all(manager: FakeManager) -> None:
    """Instances with their drains, the parameters that it takes, and what was ordered lately."""
    blocker = {"taskId": "t-1", "ageSeconds": 3, "etaSeconds": None, "caller": "ada"}
    drain = {"reason": "stop", "remainingSeconds": 20, "deadline": "2026-01-01T12:00:00Z", "blockers": [blocker]}
    schema = {
        "properties": {"goal": {"type": "string", "description": "what to reach"}, "mode": {"enum": ["a", "b"]}},
        "required": ["goal"],
    }
    problem = {"code": "unreachable", "detail": "connect refused", "since": "2026-01-01T12:00:00Z"}
    shown = instance(state="stopping", reachable=False, running=1, drain=drain, problem=problem)
    manager.on("GET", PLANNER, agent("planner", shown, parametersSchema=schema))
    action = {"actionId": "a-1", "action": "stop", "by": "ada", "state": "running", "instances": []}
    manager.on("GET", f"{PLANNER}/actions", {"actions": [action]})
    run = agentctl("describe", "agent", "planner", manager=manager.url)
    assert run.returncode == 0, run.stderr
    for part in (
        "Name:        planner",
        "State:       running (ordered: running)",
        "goal   string                 yes        what to reach",
        'mode   one of ["a", "b"]   no',
        "State:     stopping, NOT reachable",
        "Tasks:     1 of 4 run, 0 wait",
        "Drain:     stop, 20s left, eta -",
        "t-1  age 3s  -  eta -  ada",
        "unreachable: connect refused, since 2026-01-01T12:00:00Z",
        "a-1   stop     running   ada",
    ):
        assert " ".join(part.split()) in " ".join(run.stdout.split()), run.stdout
    lines = run.stdout.splitlines()
    drain_line, state_line = (
        next(one for one in lines if one.startswith(f"    {name}:")) for name in ("Drain", "State")
    )
    assert drain_line.index("stop") == state_line.index("stopping")  # one column of values


def test_describe_task_tells_its_result_or_problem(manager: FakeManager) -> None:
    """Both are JSON, indented below their name."""
    manager.on("GET", "/api/tasks", {"tasks": [{"taskId": "t-1", "agent": "planner"}]})
    base = {"taskId": "t-1", "createdAt": "2026-01-01T12:00:00Z", "durationSeconds": 1.5}
    path = f"{PLANNER}/tasks/t-1"
    failed = {**base, "state": "failed", "problem": {"code": "agent-failed", "detail": "boom"}}
    manager.on("GET", path, {**base, "state": "succeeded", "result": {"n": 1}}, failed)
    told = agentctl("describe", "task", "t-1", manager=manager.url).stdout
    assert "Duration:  1.500 s" in told
    assert 'Result:\n  {\n    "n": 1\n  }' in told
    told = invoke("describe", "task", "t-1", "--agent", "planner", manager=manager.url).stdout
    assert '"code": "agent-failed"' in told


def test_describe_what_is_not_there_exits_3(manager: FakeManager) -> None:
    """The problem of the manager is told."""
    manager.problem("GET", PLANNER, 404, "unknown-agent", "no agent 'planner'")
    run = agentctl("describe", "agent", "planner", manager=manager.url)
    assert (run.returncode, run.stderr[:25]) == (3, "error: no agent 'planner'")
