"""Orders: `pause`, `resume`, `stop`, `start`, `restart`, `rollout`, `drain`, `cancel`, `wait`."""

from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from tests.agentctl.command import agentctl, invoke, running
from tests.agentctl.fake_manager import FakeManager, Reply, agent, event, instance, listing

FLEET = "/api/agent-services"
PLANNER = f"{FLEET}/planner"


def action(state: str, *instances: dict[str, Any], name: str = "restart") -> dict[str, Any]:
    """Give an action as the manager shows it."""
    return {"actionId": "a-1", "action": name, "by": None, "state": state, "instances": list(instances)}


@pytest.mark.parametrize("verb", ["pause", "resume", "stop", "start", "restart"])
def test_an_order_is_sent_and_its_action_named(manager: FakeManager, verb: str) -> None:
    """Without `--wait` the command ends when the manager has taken the order."""
    manager.on("POST", f"{PLANNER}/action", Reply(action("running", name=verb), 202))
    run = invoke(verb, "planner", "--instance", "i-1", "--timeout", "2m", manager=manager.url)
    assert (run.returncode, run.stdout) == (0, f"planner: {verb} ordered, action a-1\n")
    limit = {"timeoutSeconds": 120.0} if verb in {"stop", "restart"} else {}
    assert manager.last("POST").body == {"action": verb, "instanceId": "i-1", **limit}


def test_wait_follows_the_action_to_its_end(manager: FakeManager) -> None:
    """Each step is told once on standard error, with how many are done."""
    waiting, second = {"instanceId": "i-1", "state": "waiting"}, {"instanceId": "i-2", "state": "waiting"}
    draining, done = {**waiting, "state": "draining"}, {**waiting, "state": "done", "successor": "i-3"}
    steps = [action("running", waiting, second), action("running", draining, second), action("running", done, second)]
    manager.on("POST", f"{PLANNER}/action", Reply(steps[0], 202))
    manager.on("GET", PLANNER, agent("planner", instance()))
    manager.on("GET", f"{PLANNER}/actions/a-1", *steps, action("succeeded", done, {**second, "state": "done"}))
    run = agentctl("restart", "planner", "--wait", manager=manager.url)
    assert (run.returncode, run.stdout) == (0, "planner: restart done\n")
    told = ["i-1 draining, 0 of 2 done", "i-1 done (now i-3), 1 of 2 done", "i-2 done, 2 of 2 done"]
    assert run.stderr.splitlines() == [f"planner: restart: {step}" for step in told]


def test_a_terminal_shows_what_holds_an_action(manager: FakeManager) -> None:
    """One line at its foot, drawn over; it is gone at the end."""
    drain = {"reason": "restart", "remainingSeconds": 272, "etaSeconds": 9, "blockers": [{"taskId": "t-1"}]}
    step = {"instanceId": "i-1", "state": "draining"}
    manager.on("POST", f"{PLANNER}/action", Reply(action("running", step), 202))
    manager.on("GET", PLANNER, agent("planner", instance(drain=drain)))
    manager.on("GET", f"{PLANNER}/actions/a-1", action("running", step), action("succeeded", {**step, "state": "done"}))
    with running("restart", "planner", "--wait", manager=manager.url, terminal=True) as shown:
        code, text = shown.rest()
    assert "planner: restart: i-1 drains, 1 in hand, 4m32s left, eta 9s\r\x1b[2K" in text
    assert (code, text.splitlines()[-1]) == (0, "\x1b[2Kplanner: restart done")


def test_a_rollout_is_a_restart_by_the_platform_that_is_followed(manager: FakeManager) -> None:
    """`restart --strategy rollout --wait` is the same; what makes it wait is told."""
    waits = {
        "code": "rollout-waits",
        "detail": "it is paused: agentctl resume planner",
        "since": "2026-01-01T12:00:00Z",
    }
    manager.on("POST", f"{PLANNER}/action", Reply(action("running"), 202))
    manager.on("GET", PLANNER, agent("planner", instance(), problem=waits))
    for line in (("rollout", "planner"), ("restart", "planner", "--strategy", "rollout", "--wait")):
        manager.on("GET", f"{PLANNER}/actions/a-1", action("running"), action("running"), action("succeeded"))
        run = invoke(*line, manager=manager.url)
        assert (run.returncode, run.stdout) == (0, "planner: rollout done\n")
        assert run.stderr == "planner: rollout: rollout-waits: it is paused: agentctl resume planner\n"
        assert manager.last("POST").body == {"action": "restart", "strategy": "rollout"}
    assert invoke("rollout", "planner", "--no-wait", manager=manager.url).stdout.startswith("planner: rollout ordered")


def test_what_a_platform_does_not_do_is_a_conflict_with_what_to_type(manager: FakeManager) -> None:
    """The manager knows the command of its platform; where there is no rollout, a restart in place is the way."""
    manager.problem("POST", f"{PLANNER}/action", 409, "not-supported", "there is no rollout here")
    run = invoke("rollout", "planner", manager=manager.url)
    assert (run.returncode, run.stdout) == (4, "")
    assert run.stderr.endswith("(not-supported): agentctl restart planner --wait does so\n")
    manager.problem("POST", f"{PLANNER}/action", 409, "not-supported", "kubectl delete pod planner-1 ends this one")
    run = invoke("stop", "planner", "--instance", "i-1", manager=manager.url)
    assert (run.returncode, run.stderr) == (4, "error: kubectl delete pod planner-1 ends this one (not-supported)\n")
    manager.problem("POST", f"{PLANNER}/action", 503, "no-leader", "no manager holds the lease")
    assert "try again in a moment" in invoke("start", "planner", manager=manager.url).stderr


def test_a_failed_action_exits_1_with_each_instance_s_reason(manager: FakeManager) -> None:
    """The reason may be a text or a problem."""
    problem = {"code": "outcome-unknown", "detail": "not back after 60 s"}
    failed = action("failed", {"instanceId": "i-1", "state": "failed", "error": problem})
    manager.on("POST", f"{PLANNER}/action", Reply(action("running"), 202))
    manager.on("GET", f"{PLANNER}/actions/a-1", failed)
    run = agentctl("restart", "planner", "--wait", manager=manager.url)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.splitlines()[-1] == "error: cannot restart planner: i-1: not back after 60 s"


def test_an_action_that_a_new_manager_does_not_know_is_told_so(manager: FakeManager) -> None:
    """Actions live in the manager's memory: after its restart nobody knows the outcome."""
    manager.on("POST", f"{PLANNER}/action", Reply(action("running"), 202))
    manager.problem("GET", f"{PLANNER}/actions/a-1", 404, "unknown-action", "no action 'a-1'")
    run = agentctl("stop", "planner", "--wait", manager=manager.url)
    assert run.returncode == 1
    assert "the manager was restarted meanwhile" in run.stderr


def test_a_wait_for_a_pause_that_runs_out_exits_1(manager: FakeManager) -> None:
    """A pause has no deadline of its own, so `--timeout` bounds the wait."""
    pausing = action("running", {"instanceId": "i-1", "state": "draining"}, name="pause")
    manager.on("POST", f"{PLANNER}/action", Reply(pausing, 202))
    manager.on("GET", PLANNER, agent("planner", instance()))
    manager.on("GET", f"{PLANNER}/actions/a-1", pausing)
    run = agentctl("pause", "planner", "--wait", "--timeout", "0", manager=manager.url)
    assert run.returncode == 1
    assert "pause is not done after 0 s: i-1 draining" in run.stderr


def test_drain_extend_and_abort(manager: FakeManager) -> None:
    """The new deadline is told for each instance; one that could not be steered makes the command fail."""
    drain = {"reason": "stop", "deadline": "2026-01-01T12:00:00Z", "remainingSeconds": 300, "blockers": []}
    both = {"instances": [{"instanceId": "i-1", "drain": drain}, {"instanceId": "i-2", "error": "unreachable"}]}
    manager.on("PATCH", f"{PLANNER}/drain", both)
    run = agentctl("drain", "planner", "--extend", "5m", manager=manager.url)
    assert (run.returncode, run.stdout) == (1, "planner/i-1: drain ends by 12:00:00Z, 5m from now\n")
    assert run.stderr == "error: cannot steer the drain of planner: i-2: unreachable\n"
    assert manager.last("PATCH").body == {"timeoutSeconds": 300.0}
    manager.on("DELETE", f"{PLANNER}/drain", {"instances": [{"instanceId": "i-1", "drain": None}]})
    run = invoke("drain", "planner", "--abort", "--instance", "i-1", manager=manager.url)
    assert (run.returncode, run.stdout) == (0, "planner/i-1: drain called off\n")
    assert manager.last("DELETE").query == {"instanceId": "i-1"}


def test_cancel_finds_the_task_s_agent(manager: FakeManager) -> None:
    """`cancel` looks it up, `drain --cancel` knows it; one that has ended is a conflict."""
    manager.on("GET", "/api/tasks", {"tasks": [{"taskId": "t-1", "agent": "planner", "state": "running"}]})
    manager.on("DELETE", f"{PLANNER}/tasks/t-1", Reply({}, 202))
    assert agentctl("cancel", "t-1", manager=manager.url).stdout == "planner: task t-1 cancelled\n"
    assert invoke("drain", "planner", "--cancel", "t-1", manager=manager.url).returncode == 0
    manager.problem("DELETE", f"{PLANNER}/tasks/t-1", 409, "already-ended", "task t-1 has ended")
    assert invoke("cancel", "t-1", manager=manager.url).returncode == 4


def test_wait_ends_with_the_state(manager: FakeManager) -> None:
    """It follows the watch stream, so that it ends as soon as the state is there."""
    waits = Event()

    def events() -> Iterator[bytes]:
        yield event("listing", listing(agent(state="starting")))
        waits.set()
        yield event("agent", {"revision": 2, "agent": agent("other", state="running")})
        yield event("agent", {"revision": 3, "agent": agent(state="running")})

    manager.on("GET", PLANNER, agent(state="starting"))
    manager.on("GET", FLEET, Reply(events=events))
    run = agentctl("wait", "planner", "--for", "state=running", manager=manager.url)
    assert (run.returncode, run.stdout) == (0, "planner: running\n")
    assert waits.is_set()


def test_wait_that_runs_out_exits_1_and_for_an_unknown_agent_3(manager: FakeManager) -> None:
    """The state that it has instead is told."""
    silent = Event()

    def events() -> Iterator[bytes]:
        yield event("listing", listing(agent(state="stopping")))
        silent.wait(10)

    manager.on("GET", PLANNER, agent(state="stopping"))
    manager.on("GET", FLEET, Reply(events=events))
    run = agentctl("wait", "planner", "--for", "state=running", "--timeout", "0.2s", manager=manager.url)
    silent.set()
    assert (run.returncode, run.stderr) == (1, "error: planner is stopping, not running, after 0.2 s\n")
    manager.problem("GET", PLANNER, 404, "unknown-agent", "no agent 'planner'")
    assert invoke("wait", "planner", "--for", "state=running", manager=manager.url).returncode == 3


def test_wait_waits_for_the_manager_too() -> None:
    """`agentctl up & agentctl wait planner --for state=running` works; an agent taken off the list is stopped."""
    with FakeManager() as gone:
        port, url = gone.port, gone.url
    with running("wait", "planner", "--for", "state=stopped", manager=url) as waiting:
        waiting.until("trying again until it is back")
        with FakeManager(port) as fresh:
            removed = [event("listing", listing(agent("planner", instance()))), event("agent", {"removed": "planner"})]
            fresh.on("GET", PLANNER, agent("planner", instance()))
            fresh.on("GET", FLEET, Reply(events=lambda: iter(removed)))
            code, text = waiting.rest()
    assert code == 0
    assert "planner: stopped\n" in text
