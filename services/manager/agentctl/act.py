"""`agentctl pause|resume|stop|start|restart|rollout`: orders to an agent, and following them to their end."""

import time
from collections.abc import Iterator
from typing import Any, Final

import click

from agentctl.arguments import AGENT_ID, DURATION
from agentctl.client import Manager
from agentctl.connection import talks_to_manager
from agentctl.failures import CommandFailed, Exit
from agentctl.terminal import note, one_line, say
from agentctl.views import Action, ActionInstance, error_text, read
from agentctl.watch import FLEET, again

_POLL_SECONDS: Final = 0.5
_DRAINING: Final = frozenset({"stop", "restart"})
"""Actions that drain: for them `--timeout` is the drain's deadline, which bounds the wait as well."""


def _verb(action: str, summary: str) -> click.Command:
    """Make the command of one action."""
    meaning = "How long work in hand may take to finish." if action in _DRAINING else "How long --wait waits."

    @click.command(name=action, help=summary)
    @click.argument("agent_id", metavar="ID", type=AGENT_ID)
    @click.option("--instance", "instance_id", metavar="I", help="Only this instance.")
    @click.option("--wait", is_flag=True, help="Wait until it is done; progress goes to standard error.")
    @click.option("--timeout", type=DURATION, metavar="D", help=meaning)
    @talks_to_manager
    def run(manager: Manager, agent_id: str, instance_id: str | None, timeout: float | None, *, wait: bool) -> None:
        _order(manager, agent_id, action, instance_id, timeout, wait=wait)

    return run


pause = _verb("pause", "Let agent ID finish its work and take no more.")
resume = _verb("resume", "Let a paused agent ID work again.")
stop = _verb("stop", "Drain agent ID and let it leave.")
start = _verb("start", "Start agent ID where the platform can; under agentctl up, agentctl up ID does it.")
restart = _verb("restart", "Drain and replace the instances of agent ID, one after the other.")


@click.command()
@click.argument("agent_id", metavar="ID", type=AGENT_ID)
@click.option("--timeout", type=DURATION, metavar="D", help="How long work in hand may take to finish, per instance.")
@talks_to_manager
def rollout(manager: Manager, agent_id: str, timeout: float | None) -> None:
    """Restart the instances of agent ID one after the other, and wait for the last."""
    _order(manager, agent_id, "restart", None, timeout, wait=True)


def _order(
    manager: Manager, agent_id: str, action: str, instance_id: str | None, timeout: float | None, *, wait: bool
) -> None:
    body: dict[str, Any] = {"action": action}
    if instance_id is not None:
        body["instanceId"] = instance_id
    if timeout is not None and action in _DRAINING:
        body["timeoutSeconds"] = timeout
    ordered = read(manager.send("POST", f"{FLEET}/{agent_id}/action", body=body).json(), Action)
    if wait:
        limit = None if action in _DRAINING else timeout
        _follow(manager, agent_id, ordered, limit)
        return
    say(one_line(f"{agent_id}: {action} ordered, action {ordered.action_id}"))
    _raise_errors(agent_id, action, ordered.instances)


def _follow(manager: Manager, agent_id: str, ordered: Action, limit: float | None) -> None:
    """Tell what the action does until it ended; the action's own deadlines bound it where there is no limit."""
    deadline = None if limit is None else time.monotonic() + limit
    told = ""
    for view in again(lambda: _poll(manager, f"{FLEET}/{agent_id}/actions/{ordered.action_id}"), manager, note):
        steps = ", ".join(_step(one) for one in view.instances) or "no instance"
        if steps != told:
            note(f"{agent_id}: {ordered.action}: {steps}")
            told = steps
        if view.state != "running":
            _raise_errors(agent_id, ordered.action, view.instances, failed=view.state == "failed")
            say(f"{agent_id}: {ordered.action} done")
            return
        if deadline is not None and time.monotonic() >= deadline:
            raise CommandFailed(f"{agent_id}: {ordered.action} is not done after {limit:g} s: {one_line(steps)}")


def _poll(manager: Manager, path: str) -> Iterator[Action]:
    while True:
        try:
            yield read(manager.get(path), Action)
        except CommandFailed as failure:
            if failure.exit_code is Exit.NOT_FOUND:
                raise CommandFailed(
                    f"{failure}: the manager was restarted meanwhile; agentctl get agents tells"
                ) from failure
            raise
        time.sleep(_POLL_SECONDS)


def _step(one: ActionInstance) -> str:
    successor = f" (now {one.successor})" if one.successor else ""
    return f"{one.instance_id} {one.state}{successor}"


def _raise_errors(agent_id: str, action: str, instances: list[ActionInstance], *, failed: bool = False) -> None:
    errors = [f"{one.instance_id}: {error_text(one.error)}" for one in instances if one.error is not None]
    if errors or failed:
        raise CommandFailed(one_line(f"cannot {action} {agent_id}: {'; '.join(errors) or 'the action failed'}"))
