"""The planner: goals in plain English, and the steps that they become."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from agents.planner import PlanRequest, make_steps, plan
from tests.agents.fake_context import FakeContext, Rejected

PLANS: dict[str, list[dict[str, Any]]] = {
    "find what the docs say about draining and summarise it, wait 2 seconds, count the words": [
        {"retrieve": "draining"},
        {"summarise": {"from": 0}},
        {"wait": 2},
        {"count": {"from": 1}},
    ],
    "How does a restart keep the PID?": [{"retrieve": "How does a restart keep the PID"}, {"summarise": {"from": 0}}],
    "What do the docs say about pause and resume?": [{"retrieve": "pause and resume"}, {"summarise": {"from": 0}}],
    "tell me about heartbeats and then wait a minute": [{"retrieve": "heartbeats"}, {"wait": 60}],
    "Find pause and resume, then sum it up in 2 sentences": [
        {"retrieve": "pause and resume"},
        {"summarise": {"from": 0}, "sentences": 2},
    ],
    "Please find the top 3 passages about exit codes, then summarize the results and finally count the lines": [
        {"retrieve": "exit codes", "limit": 3},
        {"summarise": {"from": 0}},
        {"count": {"from": 1}},
    ],
    "Calculate 2*(3+4) and wait half a minute": [{"calculate": "2*(3+4)"}, {"wait": 30}],
    "what is 7 plus 3^2?": [{"calculate": "7 + 3**2"}],
    "what is a drain": [{"retrieve": "what is a drain"}, {"summarise": {"from": 0}}],
    "Read the README. Summarise it in 1 sentence. Wait for 500 ms.": [
        {"read": "README.md"},
        {"summarise": {"from": 0}, "sentences": 1},
        {"wait": 0.5},
    ],
    "read docs/drain.md and count the words and lines": [{"read": "docs/drain.md"}, {"count": {"from": 0}}],
    "read docs/drain.md and explain exit codes": [{"read": "docs/drain.md"}, {"retrieve": "exit codes"}],
    "summarise docs/drain.md in 2 sentences": [{"read": "docs/drain.md"}, {"summarise": {"from": 0}, "sentences": 2}],
    "summarise what the docs say about heartbeats": [{"retrieve": "heartbeats"}, {"summarise": {"from": 0}}],
    "how many words are there in README.md?": [{"read": "README.md"}, {"count": {"from": 0}}],
    "how many instances can run": [{"retrieve": "how many instances can run"}, {"summarise": {"from": 0}}],
    "the drain, count the words": [{"retrieve": "the drain"}, {"count": {"from": 0}}],
    'count the words of "to be, or not to be, and then some"': [{"count": "to be, or not to be, and then some"}],
    "find \u201cwait 2 seconds and count\u201d": [{"retrieve": "wait 2 seconds and count"}],
    "search for registration in the docs": [{"retrieve": "registration"}],
    "wait for the drain": [{"retrieve": "wait for the drain"}, {"summarise": {"from": 0}}],
}


@pytest.mark.parametrize(("goal", "steps"), PLANS.items(), ids=PLANS)
def test_a_goal_becomes_the_steps_that_it_names(goal: str, steps: list[dict[str, Any]]) -> None:
    """Each clause is a step, in order, and "it" is the last step that gave a text."""
    assert make_steps(goal) == steps


@pytest.mark.parametrize(
    ("goal", "detail"),
    [
        ("", "1 to 2000 characters"),
        ("  \n", "1 to 2000 characters"),
        ("x" * 2001, "1 to 2000 characters"),
        ("please", "asks for nothing"),
        ("summarise it", "nothing before it gives a text"),
        ("wait 2 seconds and count the words", "nothing before it gives a text"),
        ("wait 20 minutes", "cannot wait 1200"),
        ("calculate 1/0", "division by zero"),
        ("find the top 99 passages about drains", "cannot use limit 99"),
        ("wait 1 s, " * 33, "cannot execute 33 steps"),
    ],
)
async def test_a_goal_that_cannot_be_run_is_rejected(goal: str, detail: str) -> None:
    """The plan is checked as the executor would check it, and the goal is what is to blame."""
    with pytest.raises(Rejected, match=detail) as rejected:
        await plan(PlanRequest(goal), FakeContext())
    assert rejected.value.field == "parameters.goal"


async def test_planning_alone_calls_nobody() -> None:
    """Without `execute` the answer is the steps alone."""
    assert await plan(PlanRequest("wait 1 second"), FakeContext()) == {"steps": [{"wait": 1}]}


async def test_execute_gives_the_steps_and_what_the_executor_made_of_them() -> None:
    """With `execute` the planner calls the executor with its steps."""
    calls = []

    async def executor(parameters: Mapping[str, Any]) -> dict[str, Any]:
        calls.append(parameters)
        return {"results": [{"value": 14}]}

    context = FakeContext({"executor": executor})
    answer = await plan(PlanRequest("calculate 2*(3+4)", execute=True), context)

    assert calls == [{"steps": [{"calculate": "2*(3+4)"}]}]
    assert answer == {"steps": [{"calculate": "2*(3+4)"}], "results": [{"value": 14}]}
    assert context.progress == [(0.1, "the plan is made, the executor runs it")]


def test_its_parameters_describe_themselves() -> None:
    """An adapter can derive their schema and convert them; a parameter that is not known is ignored."""
    schema = msgspec.json.schema(PlanRequest)["$defs"]["PlanRequest"]
    assert schema["required"] == ["goal"]
    assert msgspec.convert({"goal": "wait 1 s", "colour": "red"}, PlanRequest) == PlanRequest("wait 1 s", execute=False)
