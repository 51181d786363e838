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

    def view(self) -> ActionView:
        """Give it as clients see it."""
        return ActionView(
            self.action_id, self.verb, self.by, self.started_at, self.ended_at, self.state, list(self.steps)
        )
