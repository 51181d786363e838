"""What the manager runs with: command line over environment over file over default, read once.

Secrets are not here: `credentials` reads them, again and again, because they rotate.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from agent_contract.config import Agent, ConfigurationFile, Runtime
from agent_contract.loading import DEFAULT_PATH, ConfigurationError, load_file, merged
from agent_contract.loopback import is_loopback
from agent_contract.variables import runtime_over
from msgspec import Struct, UnsetType

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8080
LOG_NAME: Final = "agent-manager.log"


class CommandLine(Struct, frozen=True):
    """What the command line said."""

    config: str | None = None
    host: str | None = None
    port: int | None = None
    insecure: bool = False


_UNKNOWN: Final = "unknown"
"""What an image says that was built outside a repository."""


class ManagerSettings(Struct, frozen=True, kw_only=True):
    """What the manager runs with; durations are seconds."""

    host: str
    port: int
    insecure: bool
    agents: tuple[Agent, ...]
    """Those of the file, each with the file's `defaults` filled in."""
    registration_ttl_seconds: float
    heartbeat_interval_seconds: float
    """What adapters are told: at most half the TTL, so that one late beat is not a loss."""
    hold_seconds: float
    drain_timeout_seconds: float
    """What an agent without its own has."""
    quiet_seconds: float
    """Of the manager's own drain."""
    own_drain_timeout_seconds: float
    allowed_service_hosts: tuple[str, ...]
    discovery: Literal["registration", "kubernetes"]
    namespaces: tuple[str, ...]
    """Empty: the manager's own."""
    pod_name: str | None = None
    pod_namespace: str | None = None
    pod_ip: str | None = None
    """What its own pod is called and where it is, as the chart tells it; None outside a cluster."""
    commit: str | None = None
    """What its image was built from; None where nobody said."""
    log_level: str
    log_file: Path


def load(line: CommandLine, process: Mapping[str, str]) -> ManagerSettings:
    """Give the settings of this process.

    Raises:
        ConfigurationError: a named file is missing, or a value is wrong; it names the place or the variable.

    """
    file = _file(line, process)
    runtime = runtime_over(file.runtime, process)
    ttl = runtime.registration_ttl_seconds
    return ManagerSettings(
        host=line.host or DEFAULT_HOST,
        port=_port(line, runtime.manager_url),
        insecure=line.insecure,
        agents=tuple(merged(agent, file.defaults) for agent in file.agents),
        registration_ttl_seconds=ttl,
        heartbeat_interval_seconds=min(runtime.heartbeat_interval_seconds, ttl / 2),
        hold_seconds=runtime.hold_seconds,
        drain_timeout_seconds=runtime.drain_timeout_seconds,
        quiet_seconds=runtime.manager_quiet_seconds,
        own_drain_timeout_seconds=runtime.manager_drain_timeout_seconds,
        allowed_service_hosts=tuple(runtime.allowed_service_hosts),
        discovery=_discovery(runtime, process),
        namespaces=() if isinstance(runtime.discovery.namespaces, UnsetType) else tuple(runtime.discovery.namespaces),
        pod_name=process.get("POD_NAME") or process.get("HOSTNAME") or None,
        pod_namespace=process.get("POD_NAMESPACE") or None,
        pod_ip=process.get("POD_IP") or None,
        commit=_commit(process),
        log_level=runtime.log_level,
        log_file=Path(runtime.log_directory).absolute() / LOG_NAME,
    )


def _commit(process: Mapping[str, str]) -> str | None:
    said = process.get("MANAGER_COMMIT")
    return None if said == _UNKNOWN else said or None


def check_exposure(settings: ManagerSettings, *, closes_adapter_routes: bool, closes_client_routes: bool) -> None:
    """Refuse to listen where others can reach a manager that asks nobody who they are.

    Raises:
        ConfigurationError: the host is not this machine alone, a credential is missing, and nobody said --insecure.

    """
    if settings.insecure or is_loopback(settings.host) or (closes_adapter_routes and closes_client_routes):
        return
    needed = [
        text
        for text, closed in (
            ("MANAGER_TOKEN_FILE (what adapters say)", closes_adapter_routes),
            ("MANAGER_API_KEYS_FILE (who else may ask)", closes_client_routes),
        )
        if not closed
    ]
    raise ConfigurationError(
        "--host", f"cannot listen on {settings.host}: set {' and '.join(needed)}, or say --insecure"
    )


def _file(line: CommandLine, process: Mapping[str, str]) -> ConfigurationFile:
    named = line.config or process.get("AGENTS_CONFIG")
    if named:
        return load_file(Path(named))
    return load_file(DEFAULT_PATH) if DEFAULT_PATH.exists() else ConfigurationFile()


def _port(line: CommandLine, manager_url: str | UnsetType) -> int:
    """Give the port to listen on: that of the manager's URL where it names one, for this is where adapters look."""
    if line.port is not None:
        return line.port
    if isinstance(manager_url, UnsetType):
        return DEFAULT_PORT
    try:
        port = urlsplit(manager_url).port
    except ValueError as error:
        raise ConfigurationError("runtime.managerUrl", f"{manager_url!r}: {error}") from error
    return DEFAULT_PORT if port is None else port


def _discovery(runtime: Runtime, process: Mapping[str, str]) -> Literal["registration", "kubernetes"]:
    if runtime.discovery.mode != "auto":
        return runtime.discovery.mode
    return "kubernetes" if process.get("KUBERNETES_SERVICE_HOST") else "registration"
