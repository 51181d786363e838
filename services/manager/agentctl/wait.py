"""`agentctl wait`: for scripts that go on when an agent is in a state."""

import queue
import threading
import time
from collections.abc import Iterator
from typing import Final, get_args

import click
from agent_contract.wire import State

from agentctl.arguments import AGENT_ID, DURATION
from agentctl.client import Manager
from agentctl.connection import talks_to_manager
from agentctl.failures import CommandFailed, Exit
from agentctl.terminal import note, one_line, say
from agentctl.views import read
from agentctl.watch import FLEET, again, follow

_STATES: Final = get_args(State)
_DEFAULT_SECONDS: Final = 60.0


@click.command()
@click.argument("agent_id", metavar="ID", type=AGENT_ID)
@click.option(
    "--for",
    "condition",
    required=True,
    metavar="state=running",
    shell_complete=lambda _, __, begun: [one for one in map("state={}".format, _STATES) if one.startswith(begun)],
    help=f"state= and one of {', '.join(_STATES)}.",
)
@click.option("--timeout", type=DURATION, default=_DEFAULT_SECONDS, metavar="D", help="How long, 60s if not said.")
@talks_to_manager
def wait(manager: Manager, agent_id: str, condition: str, timeout: float) -> None:
    """Wait until agent ID is in a state; a manager that is not there yet is waited for as well."""
    wanted = condition.removeprefix("state=")
    if wanted not in _STATES or wanted == condition:
        raise click.UsageError(f"cannot wait for {condition!r}: write state= and one of {', '.join(_STATES)}")
    seen: queue.Queue[str | Exception] = queue.Queue()
    threading.Thread(target=_observe, args=(manager, agent_id, seen), daemon=True).start()
    deadline, state = time.monotonic() + timeout, None
    while state != wanted:
        try:
            news = seen.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise _ran_out(manager, agent_id, wanted, timeout, state) from None
        if isinstance(news, Exception):
            raise news
        state = news
    say(f"{agent_id}: {wanted}")


def _ran_out(manager: Manager, agent_id: str, wanted: str, timeout: float, state: str | None) -> CommandFailed:
    if state is None:
        return CommandFailed(f"cannot reach the manager at {manager.name} within {timeout:g} s", Exit.UNREACHABLE)
    return CommandFailed(one_line(f"{agent_id} is {state}, not {wanted}, after {timeout:g} s"))


def _observe(manager: Manager, agent_id: str, seen: "queue.Queue[str | Exception]") -> None:
    """Report each state of the agent until the process ends: a blocking read cannot be given a deadline."""
    try:
        for state in _states(manager, agent_id):
            seen.put(state)
    except Exception as error:  # noqa: BLE001  # it is raised again where the user waits
        seen.put(error)


def _states(manager: Manager, agent_id: str) -> Iterator[str]:
    agent = next(again(lambda: iter([read(manager.get(f"{FLEET}/{agent_id}"), dict)]), manager, note))
    yield str(agent.get("state"))
    for changed, now in follow(manager, {agent_id: agent}, note):
        if changed == agent_id:
            yield "stopped" if now is None else str(now.get("state"))
