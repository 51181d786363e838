"""One action: whom it is for, how far it is with each, and how it ended."""

from datetime import datetime
from typing import Any, Literal

from agent_contract.wire import State
from msgspec import UNSET, Struct, UnsetType

Verb = Literal["pause", "resume", "stop", "restart", "start"]
StepState = Literal["waiting", "draining", "done", "failed"]
ActionState = Literal["running", "succeeded", "failed"]
Error = dict[str, Any]
"""A problem's members: `code` and `detail`, and what else the instance said."""


def error(code: str, detail: str) -> Error:
    """Give what went wrong with one instance, as its own problems look."""
    return {"code": code, "detail": detail}


class Step(Struct, rename="camel", eq=False):
    """How far an action is with one instance."""

    instance_id: str
    state: StepState = "waiting"
    successor: str | UnsetType = UNSET
    """The process that came in its place."""
    error: Error | UnsetType = UNSET

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ("done", "failed")

    def fail(self, error: Error) -> None:
        """End it with what went wrong."""
        self.state, self.error = "failed", error


class ActionView(Struct, rename="camel", frozen=True):
    """An action as clients see it."""

    action_id: str
    action: Verb
    by: str | None
    started_at: datetime
    ended_at: datetime | None
    state: ActionState
    instances: list[Step]


def merged(here: list[ActionView], there: list[ActionView]) -> list[ActionView]:
    """Give the actions of two managers, the last one first."""
    known = {view.action_id: view for view in (*there, *here)}
    return sorted(known.values(), key=lambda view: view.started_at, reverse=True)


class OrderedInstance(Struct, rename="camel", frozen=True):
    """An instance that was told, and the state that it is in since."""

    instance_id: str
    state: State
    error: Error | UnsetType = UNSET


class Ordered(Struct, rename="camel", frozen=True):
    """The answer to an order: it was given, and can be followed under its id."""

    action_id: str
    action: Verb
    instances: list[OrderedInstance]


class Action(Struct, eq=False, kw_only=True):
    """An action under way, or one that ended within the last hour."""

    action_id: str
    agent_id: str
    verb: Verb
    by: str | None
    started_at: datetime
    steps: list[Step]
    subject: str
    """What it is about, for people: the agent, or the workload that makes its pods."""
    instance_id: str | None = None
    """The one instance that it is for; None: all of the agent."""
    strategy: Literal["rollout"] | None = None
    timeout_seconds: float | None = None
    ended_at: datetime | None = None
    forget_at: float | None = None
    """Monotonic, once it ended."""

    @property
    def state(self) -> ActionState:
        """Whether it goes on; one failed instance makes it failed."""
        if self.ended_at is None:
            return "running"
        return "failed" if any(step.state == "failed" for step in self.steps) else "succeeded"

    def give_up(self, why: Error) -> None:
        """Fail what is open; where nothing is, and nothing failed, the failure stands under the subject's name."""
        for step in self.steps:
            if not step.over:
                step.fail(why)
        if not any(step.state == "failed" for step in self.steps):
            self.steps.append(Step(self.subject, "failed", error=why))

    def view(self) -> ActionView:
        """Give it as clients see it."""
        return ActionView(
            self.action_id, self.verb, self.by, self.started_at, self.ended_at, self.state, list(self.steps)
        )
