"""Following an action to its end: a line for each step, and on a terminal what holds it up right now."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from agentctl.client import Manager
from agentctl.failures import CommandFailed
from agentctl.program import as_typed
from agentctl.rows import duration
from agentctl.status_line import StatusLine
from agentctl.terminal import note, one_line, say
from agentctl.views import Action, ActionInstance, Agent, Instance, error_text, read
from agentctl.watch import FLEET, again

_POLL_SECONDS: Final = 0.5


def follow_action(
    manager: Manager,
    agent_id: str,
    ordered: Action,
    verb: str,
    limit: float | None,
    tell: Callable[[str], None] = say,
) -> None:
    """Tell what an action does until it ended; its own deadlines bound it where there is no limit in seconds.

    `tell` writes that it is done.

    Raises:
        CommandFailed: it failed, the limit came first, or a manager that was restarted does not know it any more.

    """
    deadline = None if limit is None else time.monotonic() + limit
    story = _Story(agent_id, verb)
    try:
        for view, agent in again(lambda: _poll(manager, agent_id, ordered.action_id), manager, story.note):
            story.tell(view, agent)
            if view.state != "running":
                story.status.clear()
                raise_errors(agent_id, verb, view.instances, failed=view.state == "failed")
                tell(f"{agent_id}: {verb} done")
                return
            if deadline is not None and time.monotonic() >= deadline:
                steps = one_line(_open_steps(view))
                raise CommandFailed(f"{agent_id}: {verb} is not done after {limit:g} s: {steps}")
    except KeyboardInterrupt:
        story.note(as_typed(f"interrupted: the {verb} goes on; agentctl describe agent {agent_id} tells how it is"))
        raise
    finally:
        story.status.clear()


def raise_errors(agent_id: str, verb: str, instances: list[ActionInstance], *, failed: bool = False) -> None:
    """Raise CommandFailed with the reason of each instance that has one, or where the action as a whole failed."""
    errors = [f"{one.instance_id}: {error_text(one.error)}" for one in instances if one.error is not None]
    if errors or failed:
        raise CommandFailed(one_line(f"cannot {verb} {agent_id}: {'; '.join(errors) or 'the action failed'}"))


class _Story:
    """What was told of an action: each step once, and each problem of its agent once."""

    def __init__(self, agent_id: str, verb: str) -> None:
        self.status = StatusLine()
        self._prefix = f"{agent_id}: {verb}"
        self._steps: dict[str, str | None] = {}
        self._problem: str | None = None

    def note(self, text: str) -> None:
        """Write a line, where the status line was."""
        self.status.clear()
        note(text)

    def tell(self, view: Action, agent: Agent | None) -> None:
        """Write what is new, and draw what is under way."""
        done = sum(one.state == "done" for one in view.instances)
        for one in view.instances:
            if self._steps.get(one.instance_id, "waiting") != one.state:
                self.note(f"{self._prefix}: {_step(one)}, {done} of {len(view.instances)} done")
            self._steps[one.instance_id] = one.state
        problem = agent.problem if agent is not None else None
        told = None if problem is None else f"{problem.code}: {problem.detail}"
        if told not in {None, self._problem}:
            self.note(f"{self._prefix}: {told}")
        self._problem = told
        self.status.show(f"{self._prefix}: {_now(view, agent)}")


def _poll(manager: Manager, agent_id: str, action_id: str) -> Iterator[tuple[Action, Agent | None]]:
    while True:
        try:
            view = read(manager.get(f"{FLEET}/{agent_id}/actions/{action_id}"), Action)
            agent = read(manager.get(f"{FLEET}/{agent_id}"), Agent) if view.state == "running" else None
        except CommandFailed as failure:
            if failure.code == "unknown-action":
                advice = as_typed("agentctl get agents tells")
                raise CommandFailed(f"{failure}: the manager was restarted meanwhile; {advice}") from failure
            raise
        yield view, agent
        time.sleep(_POLL_SECONDS)


def _step(one: ActionInstance) -> str:
    successor = f" (now {one.successor})" if one.successor else ""
    return f"{one.instance_id} {one.state}{successor}"


def _open_steps(view: Action) -> str:
    return ", ".join(_step(one) for one in view.instances if one.state not in {"done", "failed"}) or "no instance"


def _now(view: Action, agent: Agent | None) -> str:
    """Give what is under way: what holds each drain, else how many of the agent's instances are ready."""
    drains = [_drain(one) for one in agent.instances if one.drain is not None] if agent is not None else []
    if drains or agent is None:
        return "; ".join(drains) or _open_steps(view)
    return f"{agent.ready_instances or 0} of {agent.desired_instances or len(agent.instances)} ready"


def _drain(one: Instance) -> str:
    drain = one.drain
    held = 0 if drain is None else len(drain.blockers)
    left = duration(None if drain is None else drain.remaining_seconds)
    eta = duration(None if drain is None else drain.eta_seconds)
    return f"{one.instance_id} drains, {held} in hand, {left} left, eta {eta}"
