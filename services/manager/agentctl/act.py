"""`agentctl pause|resume|stop|start|restart|rollout`: orders to an agent."""

from collections.abc import Callable
from typing import Any, Final

import click
import msgspec

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


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is to do; a `timeout` in seconds is the drain's where it drains, else that of the wait."""

    action: str
    instance_id: str | None = None
    timeout: float | None = None
    strategy: str | None = None

    @property
    def drains(self) -> bool:
        """Whether work in hand has to finish for it."""
        return self.action in _DRAINING

    @property
    def called(self) -> str:
        """Give what people call it: `rollout` for a restart by the platform."""
        return self.strategy or self.action

    def body(self) -> dict[str, Any]:
        """Give it as the manager reads it."""
        seconds = self.timeout if self.drains else None
        members = {"instanceId": self.instance_id, "timeoutSeconds": seconds, "strategy": self.strategy}
        return {"action": self.action, **{name: value for name, value in members.items() if value is not None}}


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
        give(manager, agent_id, Order(action=action, **options), wait=wait)

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
        give(manager, agent_id, Order(action="restart", timeout=timeout, strategy="rollout"), wait=wait)
    except CommandFailed as failure:
        if failure.code != "not-supported":
            raise
        advice = as_typed(f"agentctl restart {agent_id} --wait does so")
        raise CommandFailed(f"{failure}: {advice}", failure.exit_code, code=failure.code) from failure


def give(manager: Manager, agent_id: str, order: Order, *, wait: bool, tell: Callable[[str], None] = say) -> None:
    """Give an order and follow it to its end, or say under which id it goes on; `tell` writes the last line.

    Raises:
        CommandFailed: it was refused, or it failed.

    """
    ordered = read(manager.send("POST", f"{FLEET}/{agent_id}/action", body=order.body()).json(), Action)
    if wait:
        limit = None if order.drains else order.timeout
        follow_action(manager, agent_id, ordered, order.called, limit, tell)
        return
    tell(one_line(f"{agent_id}: {order.called} ordered, action {ordered.action_id}"))
    raise_errors(agent_id, order.called, ordered.instances)
