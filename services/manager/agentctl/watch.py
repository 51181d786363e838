"""Following the manager's listing: its watch stream, picked up again when the manager was away."""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from agentctl.client import Manager
from agentctl.failures import CommandFailed, Exit
from agentctl.views import members

FLEET: Final = "/api/agent-services"
_FIRST_DELAY_SECONDS: Final = 0.5
_LONGEST_DELAY_SECONDS: Final = 5.0

Fleet = dict[str, dict[str, Any]]
"""The agents of a listing by id, as the manager wrote them."""


def fleet_of(listing: Any) -> Fleet:  # noqa: ANN401  # any JSON value
    """Give the agents of a listing by id."""
    return {str(agent.get("id")): agent for agent in members(listing, "agents")}


def follow(manager: Manager, known: Fleet, say: Callable[[str], None]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Give each agent that is no longer as `known` has it, and None for one that is no longer listed, for ever.

    `known` is kept up to date. When the manager goes, `say` is told and the stream is begun again; what changed
    meanwhile comes then.

    Raises:
        CommandFailed: the manager refused (401, 403, 404).

    """
    for event, data in again(lambda: _events(manager), manager, say):
        if event == "listing":
            yield from _differences(known, fleet_of(data))
        elif event == "agent" and isinstance(data, dict):
            yield from _change(known, data)


def again(
    source: Callable[[], Iterator[Any]],
    manager: Manager,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Any]:
    """Give what `source` gives, beginning it again with growing pauses whenever it ends or the manager is away.

    An agent that was there and that a manager does not know is waited for too: it registers again within a beat.
    """
    attempts, given = 0, False
    while True:
        try:
            for item in source():
                if attempts:
                    say(f"the manager at {manager.name} is back")
                    attempts = 0
                given = True
                yield item
            reason = f"the manager at {manager.name} ended the stream"
        except CommandFailed as failure:
            if failure.exit_code is not Exit.UNREACHABLE and not (given and failure.code == "unknown-agent"):
                raise
            reason = str(failure)
        if attempts == 0:
            say(f"{reason}; trying again until it is back")
        sleep(random.uniform(0, min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2**attempts)))  # noqa: S311  # jitter
        attempts = min(attempts + 1, 10)


def _events(manager: Manager) -> Iterator[tuple[str, Any]]:
    for event in manager.stream("GET", FLEET, params={"watch": "true"}):
        try:
            yield event.event, msgspec.json.decode(event.data)
        except msgspec.MsgspecError as error:
            raise CommandFailed(f"cannot read the manager's watch stream: {error}") from error


def _change(known: Fleet, data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    agent, removed = data.get("agent"), data.get("removed")
    if isinstance(agent, dict):
        known[str(agent.get("id"))] = agent
        yield str(agent.get("id")), agent
    elif known.pop(str(removed), None) is not None:
        yield str(removed), None


def _differences(known: Fleet, now: Fleet) -> Iterator[tuple[str, dict[str, Any] | None]]:
    changed = [(name, agent) for name, agent in now.items() if known.get(name) != agent]
    removed = [name for name in known if name not in now]
    known.clear()
    known.update(now)
    yield from changed
    yield from ((name, None) for name in removed)
