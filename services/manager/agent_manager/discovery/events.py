"""What a source of discovery can say, and the interface of one.

`emit` is a plain synchronous call, in production `Registry.apply`: there is no queue, so the order of calls is the
order of events.
"""

from collections.abc import Callable
from typing import Protocol

from agent_contract.wire import Info, Status
from msgspec import Struct

from agent_manager.records import Source


class Seen(Struct, frozen=True, kw_only=True):
    """An instance is there, and answered `/info` as itself."""

    source: Source
    service_url: str
    info: Info
    status: Status


class Gone(Struct, frozen=True, kw_only=True):
    """What this source brought of the agent is not there any more; `instance_id` narrows it to one instance."""

    source: Source
    agent_id: str
    instance_id: str | None = None


class Listed(Struct, frozen=True, kw_only=True):
    """Now everything was told: what this source brought and does not name here is gone."""

    source: Source
    instance_ids: frozenset[str]


Event = Seen | Gone | Listed
Emit = Callable[[Event], None]


class Discovery(Protocol):
    """A source of instances."""

    name: Source

    async def run(self, emit: Emit) -> None:
        """Emit what is found, for ever."""
