"""What `agentctl up` starts: the manager, and each agent that can run here, with its command line and environment."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agent_contract.config import DEFAULT_HOST, Agent, ConfigurationFile
from agent_contract.loading import DEFAULT_PATH, merged
from msgspec import UNSET, Struct

from agentctl.failures import CommandFailed, Exit

MANAGER: Final = "manager"
_DEFAULT_MANAGER_PORT: Final = 8080


class Program(Struct, frozen=True):
    """A process to start: what it is called, how Python starts it, and where it listens."""

    name: str
    arguments: tuple[str, ...]
    """For this interpreter: `-m agent_adapter --agent planner ...`."""
    environment: Mapping[str, str]
    """Beside what this process has."""
    host: str
    port: int
    agent: Agent | None = None


class Plan(Struct, frozen=True):
    """All that is to be started, and a line for each agent that is not."""

    manager: Program
    agents: tuple[Program, ...]
    skipped: tuple[str, ...]
    options: str = ""
    """What else the command line said, to be typed again."""

    @property
    def manager_url(self) -> str:
        """Give the address at which the manager answers."""
        return f"http://{self.manager.host}:{self.manager.port}"

    def again(self, name: str) -> str:
        """Give the command that starts one of the agents beside the running manager."""
        return f"agentctl up {name}{self.options}"


class Wishes(Struct, frozen=True):
    """What the command line asked for."""

    ids: tuple[str, ...] = ()
    dummy: bool = False
    manager_port: int | None = None


def make_plan(place: Path, file: ConfigurationFile, wishes: Wishes, environment: Mapping[str, str]) -> Plan:
    """Give what is to be started.

    Raises:
        CommandFailed: an id that the file does not have or that cannot run here was asked for, or there is nothing to
            start.

    """
    port = wishes.manager_port or _port_of(environment.get("MANAGER_URL") or file.runtime.manager_url or "")
    arguments = ("-m", "agent_manager", "--config", str(place), "--host", DEFAULT_HOST, "--port", str(port))
    manager = Program(MANAGER, arguments, {}, DEFAULT_HOST, port)
    shared = {"MANAGER_URL": f"http://{DEFAULT_HOST}:{port}"}  # the manager that `up` starts, whatever the file says
    wanted = [merged(agent, file.defaults) for agent in _wanted(place, file, wishes.ids)]
    reasons = {agent.id: reason for agent in wanted if (reason := _why_not(agent, dummy=wishes.dummy))}
    if wishes.ids and reasons:
        raise CommandFailed("; ".join(f"cannot start {name}: {why}" for name, why in reasons.items()), Exit.USAGE)
    runnable = [agent for agent in wanted if agent.id not in reasons]
    if not runnable and not reasons:
        raise CommandFailed(f"nothing to start: {place} has no agents", Exit.USAGE)
    programs = tuple(_adapter(agent, place, shared, dummy=wishes.dummy) for agent in runnable)
    skipped = tuple(f"{name} is not started: {why}" for name, why in reasons.items())
    return Plan(manager, programs, skipped, _options(place, wishes))


def _options(place: Path, wishes: Wishes) -> str:
    config = "" if place == DEFAULT_PATH else f" --config {place}"
    port = "" if wishes.manager_port is None else f" --manager-port {wishes.manager_port}"
    return config + port + (" --dummy" if wishes.dummy else "")


def _wanted(place: Path, file: ConfigurationFile, ids: Sequence[str]) -> list[Agent]:
    known = [agent.id for agent in file.agents]
    unknown = [name for name in ids if name not in known]
    if unknown:
        there = ", ".join(known) or "none"
        raise CommandFailed(f"cannot start {', '.join(unknown)}: {place} has the agents {there}", Exit.USAGE)
    return [agent for agent in file.agents if not ids or agent.id in ids]


def _why_not(agent: Agent, *, dummy: bool) -> str | None:
    if agent.port is UNSET:
        return "it has no port, on which it would listen"
    if not dummy and agent.entry_point is UNSET and agent.command is UNSET and agent.upstream is UNSET:
        return "it has no entryPoint, command or upstream, so it runs elsewhere (--dummy starts a stand-in)"
    return None


def _adapter(agent: Agent, place: Path, shared: Mapping[str, str], *, dummy: bool) -> Program:
    host, port = agent.host or DEFAULT_HOST, agent.port or 0
    listen = ("--host", host, "--port", str(port))
    arguments = ("-m", "agent_adapter", "--agent", agent.id, "--config", str(place), *listen)
    return Program(agent.id, (*arguments, "--dummy") if dummy else arguments, shared, host, port, agent)


def _port_of(url: str) -> int:
    try:
        return urlsplit(url).port or _DEFAULT_MANAGER_PORT
    except ValueError as error:
        raise CommandFailed(f"cannot use MANAGER_URL {url!r}: {error}", Exit.USAGE) from error
