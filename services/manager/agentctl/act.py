"""`agentctl pause|resume|stop|start|restart|rollout`: orders to an agent."""

from typing import Any, Final

import click

from agentctl.arguments import AGENT_ID, DURATION
from agentctl.client import Manager
from agentctl.connection import talks_to_manager
from agentctl.failures import CommandFailed
from agentctl.follow import follow_action, raise_errors
from agentctl.program import as_typed
from agentctl.terminal import one_line, say
from agentctl.views import Action, read
from agentctl.watch import FLEET

_DRAINING: Final = frozenset({"stop", "restart"})
"""Actions that drain: for them `--timeout` is the drain's deadline, which bounds the wait as well."""
_WAIT: Final = "Wait until it is done; progress goes to standard error."
_DEADLINE: Final = "How long work in hand may take to finish, per instance."
_ROLLOUT: Final = "Replace the pods by the platform's own rollout instead."


def _verb(action: str, summary: str) -> click.Command:
    """Make the command of one action."""
    meaning = _DEADLINE if action in _DRAINING else "How long --wait waits."

    @click.command(name=action, help=summary)
    @click.argument("agent_id", metavar="ID", type=AGENT_ID)
    @click.option("--instance", "instance_id", metavar="I", help="Only this instance.")
    @click.option("--wait", is_flag=True, help=_WAIT)
    @click.option("--timeout", type=DURATION, metavar="D", help=meaning)
    @talks_to_manager
    def run(manager: Manager, /, agent_id: str, *, wait: bool, **options: Any) -> None:  # noqa: ANN401  # click's
        _order(manager, agent_id, action, wait=wait, **options)

    if action == "restart":
        run.params.insert(1, click.Option(["--strategy"], type=click.Choice(["rollout"]), help=_ROLLOUT))
    return run


pause = _verb("pause", "Let agent ID finish its work and take no more.")
resume = _verb("resume", "Let a paused agent ID work again.")
stop = _verb("stop", "Drain agent ID and let it leave. In a cluster it is scaled to 0, and the count is kept.")
start = _verb(
    "start", "Start agent ID where the platform can: a cluster scales it back; elsewhere it says what to type."
)
restart = _verb("restart", "Drain and replace the instances of agent ID, one after the other.")


@click.command()
@click.argument("agent_id", metavar="ID", type=AGENT_ID)
@click.option("--wait/--no-wait", default=True, help="Follow it to its end, as kubectl rollout status does [--wait].")
@click.option("--timeout", type=DURATION, metavar="D", help=_DEADLINE)
@talks_to_manager
def rollout(manager: Manager, agent_id: str, timeout: float | None, *, wait: bool) -> None:
    """Replace the pods of agent ID by the platform's own rollout: restart --strategy rollout --wait."""
    try:
        _order(manager, agent_id, "restart", wait=wait, timeout=timeout, strategy="rollout", verb="rollout")
    except CommandFailed as failure:
        if failure.code != "not-supported":
            raise
        advice = as_typed(f"agentctl restart {agent_id} --wait does so")
        raise CommandFailed(f"{failure}: {advice}", failure.exit_code, code=failure.code) from failure


def _order(
    manager: Manager,
    agent_id: str,
    action: str,
    *,
    wait: bool,
    timeout: float | None,
    instance_id: str | None = None,
    strategy: str | None = None,
    verb: str | None = None,
) -> None:
    drains = action in _DRAINING
    members = {"instanceId": instance_id, "timeoutSeconds": timeout if drains else None, "strategy": strategy}
    body = {"action": action, **{name: value for name, value in members.items() if value is not None}}
    ordered = read(manager.send("POST", f"{FLEET}/{agent_id}/action", body=body).json(), Action)
    if wait:
        follow_action(manager, agent_id, ordered, verb or action, None if drains else timeout)
        return
    say(one_line(f"{agent_id}: {verb or action} ordered, action {ordered.action_id}"))
    raise_errors(agent_id, verb or action, ordered.instances)
