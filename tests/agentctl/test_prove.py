"""`agentctl prove`: what was lost, from what the manager counted, and in a restart under load."""

import asyncio
import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.agentctl.command import agentctl, invoke
from tests.agentctl.fake_manager import FakeManager, Reply, agent, instance
from tests.agentctl.test_orders import PLANNER, action
from tests.system.fleet import Fleet

EXECUTE = f"{PLANNER}/execute"
STARTED = "2026-01-01T12:00:00Z"
ZERO = {"clean": 0, "cut": 0, "lost": 0, "tasksCut": 0, "calls": 0, "succeeded": 0, "failed": 0, "unclear": 0}


def page(clean: int = 0, cut: int = 0, lost: int = 0, tasks_cut: int = 0, **codes: int) -> Reply:
    """Give a page of metrics; `c503=2` are two calls answered 503."""
    drains = {"clean": clean, "cut": cut, "lost": lost}
    lines = [f'agent_manager_drains_total{{agent="planner",outcome="{key}"}} {n}.0' for key, n in drains.items()]
    lines.append(f'agent_manager_drain_tasks_cut_total{{agent="planner"}} {tasks_cut}')
    requests = "agent_manager_forward_requests_total"
    lines += [f'{requests}{{agent="planner",code="{code[1:]}"}} {n}' for code, n in codes.items()]
    lines += ["# HELP agent_manager_leader x", "agent_manager_leader 1.0", f'{requests}{{agent="",code="404"}} 9']
    return Reply(raw="\n".join(lines).encode())


def counting(manager: FakeManager, *pages: Reply, started: str = STARTED) -> None:
    """Let a manager have counted so."""
    manager.on("GET", "/metrics", *pages)
    manager.on("GET", "/api/version", {"version": "0.1.0", "startedAt": started})


def restarting(manager: FakeManager, state: str = "succeeded") -> None:
    """Let a manager restart its agent at once."""
    step = {"instanceId": "i-1", "state": "done" if state == "succeeded" else "failed"}
    manager.on("POST", f"{PLANNER}/action", Reply(action("running", step), 202))
    manager.on("GET", f"{PLANNER}/actions/a-1", action(state, step))
    manager.on("GET", PLANNER, agent("planner", instance()))


def prove(manager: FakeManager, *arguments: str) -> CompletedProcess[str]:
    """Prove it with a few quick calls."""
    quick = ("--calls", "10", "--per-second", "200")
    return invoke("prove", "planner", *quick, *arguments, manager=manager.url)


def test_the_report_shows_what_each_agent_s_drains_and_calls_came_to(manager: FakeManager) -> None:
    """Calls whose caller left are neither; nothing lost is exit code 0."""
    counting(manager, page(clean=3, c200=40, c503=2, c499=1))
    run = agentctl("prove", manager=manager.url)
    assert run.returncode == 0, run.stderr
    head, row = run.stdout.splitlines()
    assert head.split()[:6] == ["AGENT", "DRAINS", "CLEAN", "CUT", "LOST", "TASKS-CUT"]
    assert row.split() == ["planner", "3", "3", "0", "0", "0", "43", "40", "2", "0"]
    assert run.stderr == f"nothing was lost since the manager started at {STARTED}\n"
    assert manager.asked[-1].query == {"scope": "self"}


@pytest.mark.parametrize(
    ("counted", "said"),
    [
        (page(cut=1, tasks_cut=2), "2 tasks cut by a drain's deadline"),
        (page(lost=1), "1 drain without a last word"),
        (page(c502=1, c504=2), "3 calls answered 502 or 504, whose outcome may be unknown"),
    ],
)
def test_a_report_of_a_loss_exits_1(manager: FakeManager, counted: Reply, said: str) -> None:
    """Where nobody can say that nothing was lost, it is not said."""
    counting(manager, counted)
    run = invoke("prove", manager=manager.url)
    assert (run.returncode, run.stderr) == (1, f"error: since the manager started at {STARTED}: planner: {said}\n")


def test_an_earlier_report_is_taken_off(manager: FakeManager, tmp_path: Path) -> None:
    """Around a release: what was lost last week is not this one's; another manager's record is a conflict."""
    counting(manager, page(clean=1, lost=2, c502=3), page(clean=4, lost=2, c502=3, c200=7))
    before = tmp_path / "before.json"
    before.write_text(invoke("prove", "-o", "json", manager=manager.url).stdout)
    run = invoke("prove", "--since", str(before), "-o", "json", manager=manager.url)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["agents"] == [{**ZERO, "agent": "planner", "clean": 3, "calls": 7, "succeeded": 7}]
    counting(manager, page(), started="2026-01-01T13:00:00Z")
    run = invoke("prove", "--since", str(before), manager=manager.url)
    assert (run.returncode, "cannot tell what came since: this manager started at" in run.stderr) == (4, True)


def test_a_restart_under_load_ends_in_a_ledger(manager: FakeManager) -> None:
    """Every call is in it, and it adds up; what the manager counted before is not."""
    counting(manager, page(clean=7), page(clean=8))
    manager.on("POST", EXECUTE, {"taskId": "t", "result": 1})
    restarting(manager)
    run = prove(manager, "-p", "a:=1", "--timeout", "5", "-o", "json")
    assert run.returncode == 0, run.stderr
    proof = json.loads(run.stdout)
    made = sum(one.path == EXECUTE for one in manager.asked) - 1
    assert made >= 10
    assert (proof["calls"]["calls"], proof["calls"]["accepted"], proof["calls"]["succeeded"]) == (made, made, made)
    assert (proof["action"], proof["drains"]["clean"], proof["doubts"]) == ("restart", 1, [])
    assert run.stderr.endswith(
        f"nothing was lost: {made} calls were accepted and each has its outcome; 1 drain was clean\n"
    )
    orders = [one.body for one in manager.asked if one.path.endswith("/action")]
    assert orders == [{"action": "restart", "timeoutSeconds": 5.0}]
    assert manager.asked[0].body == {"parameters": {"a": 1}}


def refusal(status: int, code: str, **members: Any) -> Reply:
    """Give a problem."""
    return Reply({"status": status, "code": code, "detail": "so it is", **members}, status)


def test_refusals_are_no_loss_and_unknown_outcomes_are(manager: FakeManager) -> None:
    """The callers' view decides: what began and has no outcome is what nobody can prove."""
    fine, refused = Reply({"result": 1}), refusal(503, "unavailable", started=False)
    counting(manager, page(), page(clean=1))
    restarting(manager)
    manager.on("POST", EXECUTE, fine, refused, refusal(500, "agent-failed"), fine)
    run = prove(manager)
    assert run.returncode == 0, run.stderr
    assert "1 call was refused with no work begun" in run.stderr
    (problems,) = [line for line in run.stderr.splitlines() if line.startswith("problems: ")]
    assert set(problems.removeprefix("problems: ").split(", ")) == {"unavailable 1", "agent-failed 1"}
    counting(manager, page(), page(clean=1))
    manager.on(
        "POST",
        EXECUTE,
        fine,
        refusal(503, "drain-timeout", started=True, outcome="interrupted"),
        refusal(502, "outcome-unknown", outcome="unknown"),
        fine,
    )
    run = prove(manager)
    assert (run.returncode, "not proved: 1 call was interrupted, of 1 nobody knows" in run.stderr) == (1, True)
    assert run.stdout.splitlines()[0].startswith("planner: restart under load, ")


@pytest.mark.parametrize(
    ("state", "after", "said"),
    [
        ("failed", page(), "cannot restart planner: the action failed"),
        ("succeeded", page(), "the manager counted no drain meanwhile"),
        ("succeeded", page(lost=1), "0 tasks were cut, 1 drain had no last word"),
    ],
)
def test_what_speaks_against_it_is_said(manager: FakeManager, state: str, after: Reply, said: str) -> None:
    """A restart that failed, that replaced nothing, or whose drain was lost is no proof, whatever the callers got."""
    counting(manager, page(), after)
    manager.on("POST", EXECUTE, {"result": 1})
    restarting(manager, state)
    run = prove(manager)
    assert (run.returncode, f"not proved: {said}" in run.stderr) == (1, True)


def test_a_first_call_that_fails_restarts_nothing(manager: FakeManager) -> None:
    """Wrong parameters would only prove that they are wrong."""
    manager.problem("POST", EXECUTE, 422, "bad-parameters", "text is missing")
    run = prove(manager)
    assert (run.returncode, "nothing was proved, for the first call failed: text is missing" in run.stderr) == (1, True)
    assert len(manager.asked) == 1


def test_calls_alone_prove_what_is_restarted_otherwise(manager: FakeManager) -> None:
    """`helm upgrade` or `kubectl rollout restart` in another terminal."""
    counting(manager, page())
    manager.on("POST", EXECUTE, {"result": 1})
    run = prove(manager, "--no-restart")
    assert (run.returncode, run.stdout.splitlines()[0].partition(",")[0]) == (0, "planner: calls alone")


@pytest.mark.parametrize(
    "line", [("prove", "--calls", "3"), ("prove", "-p", "a=1"), ("prove", "a", "--since", __file__)]
)
def test_options_of_the_other_kind_exit_2(line: tuple[str, ...]) -> None:
    """A report makes no calls, and a restart under load compares nothing."""
    assert invoke(*line).returncode == 2


async def test_a_real_restart_under_load_is_proved(tmp_path: Path) -> None:
    """A real manager holds the calls that come while its only instance is replaced."""
    async with Fleet(tmp_path) as fleet:
        await fleet.start_manager()
        await fleet.start_agent("worker", "worker", AGENT_MAX_CONCURRENCY="4")
        line = ("prove", "worker", "-p", "seconds:=0.05", "--calls", "30", "-o", "json")
        run = await asyncio.to_thread(agentctl, *line, manager=fleet.manager_url)
    assert run.returncode == 0, run.stderr
    proof = json.loads(run.stdout)
    assert (proof["drains"]["clean"], proof["doubts"], proof["calls"]["refused"]) == (1, [], 0)
