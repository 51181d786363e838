"""What the configuration file says of an agent, as people may see it: no environment, no arguments, no credentials."""

from typing import Any

from agent_contract.config import (
    DEFAULT_MAX_BODY_BYTES,
    DEFAULT_MAX_CONCURRENCY,
    DEFAULT_MAX_QUEUE,
    DEFAULT_QUIET_SECONDS,
    Agent,
)
from agent_contract.shown import shown_url
from msgspec import UNSET, Struct, UnsetType

from agent_manager.records import AgentRecord


class Configured(Struct, rename="camel", frozen=True, kw_only=True):
    """The settings that an agent of the file runs with; each is null for one that the file does not have."""

    in_file: bool
    drain_timeout_seconds: float
    """The runtime's where the agent has none of its own: this one is always there."""
    runs: str | None = None
    """Its entry point, its program, or the address of its upstream."""
    host: str | None = None
    port: int | None = None
    isolation: str | None = None
    working_directory: str | None = None
    max_concurrency: int | None = None
    max_queue: int | None = None
    max_body_bytes: int | None = None
    task_timeout_seconds: float | None = None
    quiet_seconds: float | None = None
    log_level: str | None = None


def configured(record: AgentRecord, drain_timeout_seconds: float) -> Configured:
    """Give an agent's settings; the second is what an agent without its own has."""
    agent = record.configured
    if agent is None:
        return Configured(in_file=False, drain_timeout_seconds=drain_timeout_seconds)
    return Configured(
        in_file=True,
        drain_timeout_seconds=_or(agent.drain_timeout_seconds, drain_timeout_seconds),
        runs=_runs(agent),
        host=_or(agent.host, None),
        port=_or(agent.port, None),
        isolation=_or(agent.isolation, None),
        working_directory=_or(agent.working_directory, None),
        max_concurrency=_or(agent.max_concurrency, DEFAULT_MAX_CONCURRENCY),
        max_queue=_or(agent.max_queue, DEFAULT_MAX_QUEUE),
        max_body_bytes=_or(agent.max_body_bytes, DEFAULT_MAX_BODY_BYTES),
        task_timeout_seconds=_or(agent.task_timeout_seconds, None),
        quiet_seconds=_or(agent.quiet_seconds, DEFAULT_QUIET_SECONDS),
        log_level=_or(agent.log_level, None),
    )


def _runs(agent: Agent) -> str | None:
    if not isinstance(agent.entry_point, UnsetType):
        return agent.entry_point
    if not isinstance(agent.command, UnsetType):
        return agent.command[0]  # its arguments may hold secrets
    if not isinstance(agent.upstream, UnsetType):
        return shown_url(agent.upstream)
    return None


def _or(value: Any, default: Any) -> Any:  # noqa: ANN401  # a setting of any type
    return default if value is UNSET else value
