"""The parts of a manager that requests reach, and what its service discovery tells Prometheus."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from agent_contract import __version__
from agent_contract.config import DEFAULT_MAX_BODY_BYTES
from agent_contract.tracing import OFF, Tracing
from msgspec import Struct

from agent_manager.access import Access
from agent_manager.actions import Actions
from agent_manager.agent_tokens import AgentProofs
from agent_manager.audit import Audit
from agent_manager.console.feed import Feed
from agent_manager.credentials import Credentials
from agent_manager.dispatch import Dispatcher
from agent_manager.drains import Drains
from agent_manager.fleet_queries import FleetQueries
from agent_manager.handed_over import ResultStore
from agent_manager.holder import HolderLink
from agent_manager.journal import Journal
from agent_manager.listing import Listing
from agent_manager.login_attempts import LoginAttempts
from agent_manager.logs import Logs
from agent_manager.metrics import Metrics
from agent_manager.readiness import Readiness
from agent_manager.records import Instance
from agent_manager.registrations import Registrations
from agent_manager.registry import Registry
from agent_manager.scrapes import Scrapes
from agent_manager.sessions import Sessions
from agent_manager.tasks import Tasks

HARD_BODY_BYTES: Final = 64 * 1024 * 1024
"""What is read of a body at most, whatever an agent takes: the manager holds it in memory until it is answered."""


class Version(Struct, rename="camel", frozen=True):
    """Which manager this is."""

    version: str
    commit: str | None
    started_at: datetime


class Target(Struct, frozen=True):
    """An instance as Prometheus scrapes it (HTTP service discovery)."""

    targets: list[str]
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class Manager:
    """What handlers call. Made in the composition root."""

    registry: Registry
    registrations: Registrations
    results: ResultStore
    listing: Listing
    journal: Journal
    dispatcher: Dispatcher
    tasks: Tasks
    actions: Actions
    holder: HolderLink
    queries: FleetQueries
    drains: Drains
    logs: Logs
    access: Access
    credentials: Credentials
    proofs: AgentProofs
    sessions: Sessions
    login_attempts: LoginAttempts
    feed: Feed
    metrics: Metrics
    audit: Audit
    scrapes: Scrapes
    readiness: Readiness
    clock: Callable[[], float]
    started_at: datetime
    tracing: Tracing = OFF
    commit: str | None = None

    def max_body_bytes(self, agent_id: str) -> int:
        """Give how much of a call's body is read; the adapter decides by its own limit what it takes."""
        record = self.registry.find(agent_id)
        configured = None if record is None or record.configured is None else record.configured.max_body_bytes
        return min(configured if isinstance(configured, int) else DEFAULT_MAX_BODY_BYTES, HARD_BODY_BYTES)

    def version(self) -> Version:
        """Give which manager this is."""
        return Version(__version__, self.commit, self.started_at)

    def targets(self) -> list[Target]:
        """Give every instance as a scrape target."""
        return [_target(one) for one in self.registry.instances.values()]


def _target(instance: Instance) -> Target:
    """Give an instance as a scrape target; Prometheus assumes `/metrics`, and http where nobody says otherwise."""
    labels = {"agent": instance.agent_id, "instance_id": instance.instance_id}
    return Target([instance.origin.authority], labels | ({"__scheme__": "https"} if instance.origin.tls else {}))
