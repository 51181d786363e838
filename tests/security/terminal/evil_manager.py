"""A manager whose every word comes from an agent that wants to steer the terminal of whoever looks."""

import json
import re
from typing import Any, Final

from agent_contract.readable import STEERING

from tests.agentctl.fake_manager import FakeManager, Reply, agent, event, instance, listing

FLEET: Final = "/api/agent-services"
ONE: Final = f"{FLEET}/planner"
EVIL: Final = (
    "\x1b[5;41mblink\x1b]0;owned\x07\x1b]8;;http://evil\x1b\\link\x1b]52;c;ZXZpbA==\x07\x1b[2J\x1b[201~"
    "\b\b\r\x00\x7f\x85\x90\x9b2J\x9d0;owned\x9c\u202eneila\u2066\u2069\u200b\u200d\u2028\ufeff\U000e0041\nforged"
)
"""Colour, title, link, clipboard, erasing, the end of a paste; backspace, return, C1 forms; turns and no widths."""
_OWN: Final = re.compile(r"\x1b\[(?:0|1|2|3[1-7]|9[0-7]|1;3[1-7]|33;1|31;1)?m|\r?\x1b\[[12]?[AK]|\x1b\[\?25[lh]|\r\n")
"""What agentctl itself sends: its colours, redrawing in place, the cursor that it hides meanwhile, a line's end."""


def left_of(text: str) -> set[str]:
    """Give the characters of what a terminal was sent that act on it or deceive, and are not agentctl's own."""
    return set(STEERING.findall(_OWN.sub("", text)))


def log_line() -> str:
    """Give a log line as an adapter could write it that is not ours."""
    members = {"timestamp": f"0000{EVIL}", "level": EVIL, "message": EVIL, "agent": EVIL, EVIL: EVIL, "exception": EVIL}
    return json.dumps(members)


def make_evil(manager: FakeManager) -> None:
    """Let it answer every route that agentctl asks."""
    problem = {"code": EVIL, "detail": EVIL}
    blocker = {"taskId": EVIL, "ageSeconds": 1, "progress": {"fraction": 0.5, "message": EVIL}, "caller": EVIL}
    drain = {"reason": EVIL, "remainingSeconds": 5, "blockers": [blocker]}
    pod = {"name": EVIL, "namespace": EVIL, "node": EVIL, "image": EVIL, "phase": EVIL, "reason": EVIL}
    words = {"serviceUrl": EVIL, "version": EVIL, "adapterVersion": EVIL, "state": EVIL, "source": EVIL}
    one = instance(EVIL, **words, problem=problem, pod=pod, drain={"instanceId": EVIL, **drain})
    schema = {"properties": {EVIL: {"type": EVIL, "description": EVIL}}, "required": [EVIL]}
    shown = agent("planner", one, name=EVIL, description=EVIL, state=EVIL, problem=problem, parametersSchema=schema)
    other = agent(EVIL, one, name=EVIL, state=EVIL, sources=[EVIL], desiredState=EVIL)
    step = {"instanceId": EVIL, "state": "failed", "successor": EVIL, "error": problem}
    action = {"actionId": EVIL, "action": EVIL, "state": "failed", "by": EVIL, "instances": [step]}
    progress = {"progress": {"message": EVIL}}
    task = {"taskId": "t-1", "agent": "planner", "instanceId": EVIL, "state": EVIL, "caller": EVIL, **progress}
    lines = [{"instanceId": EVIL, "line": line} for line in (log_line(), EVIL)]
    silent = {"instanceId": EVIL, "error": problem}
    answers: dict[tuple[str, str], Any] = {
        ("GET", ONE): shown,
        ("GET", f"{ONE}/actions"): {"actions": [action]},
        ("GET", f"{ONE}/drain"): {"instances": [{"instanceId": EVIL, "drain": drain}, silent]},
        ("PATCH", f"{ONE}/drain"): {"instances": [{"instanceId": EVIL, "drain": drain}, silent]},
        ("POST", f"{ONE}/action"): {**action, "state": "running", "actionId": "a-1"},
        ("GET", f"{ONE}/actions/a-1"): action,
        ("GET", "/api/tasks"): {"tasks": [task], "errors": [silent]},
        ("GET", f"{ONE}/tasks/t-1"): {**task, "result": {EVIL: [EVIL]}, "problem": problem},
        ("GET", f"{ONE}/logs"): {"lines": [*lines, silent]},
        ("POST", f"{ONE}/execute"): {"taskId": EVIL, "result": EVIL},
    }
    for (method, path), body in answers.items():
        manager.on(method, path, body)
    manager.on("GET", FLEET, listing(shown, other))
    manager.problem("DELETE", f"{ONE}/tasks/t-1", 409, EVIL, EVIL, field=EVIL, taskId=EVIL)


def stream_evil(manager: FakeManager) -> None:
    """Let it answer streams where there is one: chunks and an error, log lines, changes of the listing."""
    trouble = {"status": 500, "code": EVIL, "detail": EVIL}
    chunks = [event("chunk", EVIL), event("chunk", {EVIL: EVIL}), event("error", trouble)]
    manager.on("POST", f"{ONE}/execute", Reply(events=lambda: iter(chunks)))
    lines = [event("line", {"instanceId": EVIL, "line": line}) for line in (log_line(), EVIL)]
    manager.on("GET", f"{ONE}/logs", Reply(events=lambda: iter(lines)))
