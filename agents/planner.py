"""Makes a goal in plain English into steps that the executor can run, and lets it run them if asked to."""

from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from agents.clauses import split_goal
from agents.context import Context
from agents.phrases import Draft, PlanError, subject_of, understand
from agents.steps import StepError, parse_steps

MAX_GOAL = 2_000  # characters; a goal is a sentence or a few


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What is to be reached, and whether the executor shall run the plan at once."""

    goal: str
    execute: bool = False


class PlanResult(TypedDict):
    """The steps in order, and what each gave if they were run."""

    steps: list[dict[str, Any]]
    results: NotRequired[list[dict[str, Any]]]


async def plan(parameters: PlanRequest, context: Context) -> PlanResult:
    """Give the steps towards the goal, such as "find what the docs say about draining and count the words"."""
    if not parameters.goal.strip() or len(parameters.goal) > MAX_GOAL:
        context.reject(f"cannot plan: a goal has 1 to {MAX_GOAL} characters", field="parameters.goal")
    try:
        steps = make_steps(parameters.goal)
    except (PlanError, StepError) as mistake:
        context.reject(str(mistake), field="parameters.goal")
    if not parameters.execute:
        return {"steps": steps}
    context.report_progress(0.1, "the plan is made, the executor runs it")
    done = await context.call("executor", {"steps": steps})
    return {"steps": steps, "results": done["results"]}


def make_steps(goal: str) -> list[dict[str, Any]]:
    """Give the steps for `goal`; one that names nothing known is a question to the docs: find passages, sum them up.

    Raises PlanError or StepError for what the executor could not run.
    """
    goal = goal.replace("\u201c", '"').replace("\u201d", '"')
    draft, understood = Draft(), False
    for clause in split_goal(goal, lambda piece: understand(piece) is not None):
        rule_and_match = understand(clause)
        if rule_and_match:
            rule, found = rule_and_match
            rule(draft, found)
            understood = True
        else:
            draft.add(retrieve=subject_of(clause))
    if draft.text_step is not None and not understood:
        draft.add(summarise={"from": draft.text_step})
    if not draft.steps:
        raise PlanError("cannot plan: the goal asks for nothing")
    parse_steps(draft.steps)
    return draft.steps
