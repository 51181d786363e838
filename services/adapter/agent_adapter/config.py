"""What one adapter runs with: command line over environment over file over default, read once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from agent_contract import config as files
from agent_contract.config import Agent, ConfigurationFile, Runtime
from agent_contract.environment import agent_environment, read_environment_file, without_secrets
from agent_contract.identity import is_agent_id
from agent_contract.loading import DEFAULT_PATH, ConfigurationError, load_file, merged, to_builtins
from agent_contract.shown import shown_url
from agent_contract.tokens import read_tokens
from agent_contract.variables import read_variable, runtime_over
from msgspec import UNSET, UnsetType

_SCALARS: Final = {
    "name": "AGENT_NAME",
    "description": "AGENT_DESCRIPTION",
    "version": "AGENT_VERSION",
    "entryPoint": "AGENT_ENTRY_POINT",
    "upstream": "AGENT_UPSTREAM",
    "workingDirectory": "AGENT_WORKING_DIRECTORY",
    "isolation": "AGENT_ISOLATION",
    "defaultModel": "AGENT_DEFAULT_MODEL",
    "drainTimeoutSeconds": "AGENT_DRAIN_TIMEOUT_SECONDS",
    "taskTimeoutSeconds": "AGENT_TASK_TIMEOUT_SECONDS",
    "maxConcurrency": "AGENT_MAX_CONCURRENCY",
    "maxQueue": "AGENT_MAX_QUEUE",
    "maxBodyBytes": "AGENT_MAX_BODY_BYTES",
    "quietSeconds": "AGENT_QUIET_SECONDS",
    "logLevel": "AGENT_LOG_LEVEL",
    "environmentFile": "AGENT_ENVIRONMENT_FILE",
}
"""The variable of each scalar key of an agent, but for `id`, `host` and `port`."""

_WAYS_TO_RUN: Final = ("entryPoint", "command", "upstream")


class CommandLine(msgspec.Struct, frozen=True):
    """What the command line said."""

    agent: str | None = None
    config: str | None = None
    host: str | None = None
    port: int | None = None
    dummy: bool = False
    entry_point: str | None = None
    upstream: str | None = None
    command: tuple[str, ...] = ()


class AdapterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the adapter runs with; durations are seconds."""

    agent: Agent
    dummy: bool
    host: str
    port: int
    service_url: str | None
    manager_url: str | None
    manager_tokens: tuple[str, ...]
    manager_token_file: str | None
    """Where they are read again; None where a variable holds them."""
    heartbeat_interval_seconds: float
    drain_timeout_seconds: float
    quiet_seconds: float
    termination_grace_seconds: float | None
    task_timeout_seconds: float | None
    max_concurrency: int
    max_queue: int
    max_body_bytes: int
    log_level: str
    log_directory: Path
    configured_port: int
    environment: dict[str, str]
    """What agent code and children see: the process's own without secrets, and what the configuration adds."""

    @property
    def log_file(self) -> Path:
        """The agent's log; an instance on another port than the configured one has a file of its own."""
        name = self.agent.id if self.port == self.configured_port else f"{self.agent.id}-{self.port}"
        return self.log_directory / f"{name}.log"


def load(line: CommandLine, process: Mapping[str, str]) -> AdapterSettings:
    """Give the settings of this process.

    Raises:
        ConfigurationError: something is missing, unknown, or has a wrong value; it names the place.

    """
    agent_id = line.agent or process.get("AGENT_ID")
    if not agent_id:
        raise ConfigurationError("", "which agent? say --agent ID or set AGENT_ID")
    if not is_agent_id(agent_id):
        raise ConfigurationError("--agent", f"{agent_id!r} is not an agent id: lower case letters, digits and dashes")
    file, path = _file(line, process)
    place, agent, found = _agent(agent_id, file, line, process)
    runtime = runtime_over(file.runtime, process)
    base = path.parent if path is not None else Path.cwd()
    required = bool(process.get("AGENT_ENVIRONMENT_FILE")) or (
        found is not None and found.environment_file is not UNSET
    )
    _check_usable(place, agent, runtime, process)
    return AdapterSettings(
        agent=agent,
        dummy=line.dummy,
        host=line.host or process.get("AGENT_HOST") or "0.0.0.0",  # noqa: S104  # the adapter is its container's service
        port=_port(line, process, agent),
        service_url=process.get("AGENT_SERVICE_URL") or None,
        manager_url=_or_none(runtime.manager_url),
        manager_tokens=read_tokens(process),
        manager_token_file=process.get("MANAGER_TOKEN_FILE") or None,
        heartbeat_interval_seconds=runtime.heartbeat_interval_seconds,
        drain_timeout_seconds=_or(agent.drain_timeout_seconds, runtime.drain_timeout_seconds),
        quiet_seconds=_or(agent.quiet_seconds, files.DEFAULT_QUIET_SECONDS),
        termination_grace_seconds=_number(process, "TERMINATION_GRACE_SECONDS"),
        task_timeout_seconds=_or(agent.task_timeout_seconds, None),
        max_concurrency=_or(agent.max_concurrency, files.DEFAULT_MAX_CONCURRENCY),
        max_queue=_or(agent.max_queue, files.DEFAULT_MAX_QUEUE),
        max_body_bytes=_or(agent.max_body_bytes, files.DEFAULT_MAX_BODY_BYTES),
        log_level=_or(agent.log_level, runtime.log_level),
        log_directory=Path(runtime.log_directory).absolute(),
        configured_port=int(_or(agent.port, files.DEFAULT_PORT)),
        environment=_environment(agent, base, process, place, required=required),
    )


def _file(line: CommandLine, process: Mapping[str, str]) -> tuple[ConfigurationFile, Path | None]:
    named = line.config or process.get("AGENTS_CONFIG")
    if named:
        return load_file(Path(named)), Path(named).absolute()
    if _said_how_to_run(line, process) or (line.dummy and not DEFAULT_PATH.exists()):
        return ConfigurationFile(), None
    return load_file(DEFAULT_PATH), DEFAULT_PATH.absolute()


def _said_how_to_run(line: CommandLine, process: Mapping[str, str]) -> bool:
    on_line = line.entry_point or line.upstream or line.command
    return bool(on_line or process.get("AGENT_ENTRY_POINT") or process.get("AGENT_UPSTREAM"))


def _agent(
    agent_id: str, file: ConfigurationFile, line: CommandLine, process: Mapping[str, str]
) -> tuple[str, Agent, Agent | None]:
    index = next((number for number, agent in enumerate(file.agents) if agent.id == agent_id), None)
    if index is None and file.agents and not _said_how_to_run(line, process):
        known = ", ".join(agent.id for agent in file.agents)
        raise ConfigurationError("agents", f"no agent {agent_id!r}; there are: {known}")
    place = "agents[-]" if index is None else f"agents[{index}]"
    found = None if index is None else file.agents[index]
    agent = merged(found or Agent(id=agent_id), file.defaults)
    agent = _overridden(agent, line, process)
    if not line.dummy and not any(key in to_builtins(agent) for key in _WAYS_TO_RUN):
        raise ConfigurationError(place, "has none of entryPoint, command and upstream: it runs elsewhere, or --dummy")
    return place, agent, found


def _overridden(agent: Agent, line: CommandLine, process: Mapping[str, str]) -> Agent:
    said: dict[str, Any] = {}
    for key, variable in _SCALARS.items():
        if process.get(variable):
            said[key] = read_variable(Agent, key, process[variable], variable)
    on_line = {"entryPoint": line.entry_point, "upstream": line.upstream, "command": list(line.command) or None}
    stated = {key: value for key, value in on_line.items() if value}
    if len(stated) > 1:
        raise ConfigurationError("", "say only one of --entry-point, --upstream and -- PROG ARG...")
    if not stated and {"entryPoint", "upstream"} <= said.keys():
        raise ConfigurationError("AGENT_UPSTREAM", "AGENT_ENTRY_POINT is set too: an agent has only one of them")
    said = {key: value for key, value in said.items() if not (stated and key in _WAYS_TO_RUN)} | stated
    own = to_builtins(agent)
    if any(key in said for key in _WAYS_TO_RUN):
        own = {key: value for key, value in own.items() if key not in _WAYS_TO_RUN}
    try:
        return msgspec.convert({**own, **said}, Agent)
    except msgspec.ValidationError as error:
        raise ConfigurationError("", f"bad command line: {error}") from error


def _port(line: CommandLine, process: Mapping[str, str], agent: Agent) -> int:
    if line.port is not None:
        return line.port
    text = process.get("AGENT_PORT")
    if text:
        return int(read_variable(Agent, "port", text, "AGENT_PORT"))
    return int(_or(agent.port, files.DEFAULT_PORT))


def _number(process: Mapping[str, str], variable: str) -> float | None:
    text = process.get(variable)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ConfigurationError(variable, f"{text!r}: expected a number of seconds")
    return number


def _check_usable(place: str, agent: Agent, runtime: Runtime, process: Mapping[str, str]) -> None:
    """Look at what a type cannot say: the process must not start and fail at the first call."""
    _check_url(f"{place}.upstream", _or_none(agent.upstream))
    _check_url("runtime.managerUrl", _or_none(runtime.manager_url))
    _check_url("AGENT_SERVICE_URL", process.get("AGENT_SERVICE_URL") or None)
    directory = _or_none(agent.working_directory)
    if directory is not None and not Path(directory).is_dir():
        raise ConfigurationError(f"{place}.workingDirectory", f"no such directory: {directory!r}")
    if not isinstance(agent.parameters_schema, UnsetType):
        _check_schema(f"{place}.parametersSchema", agent.parameters_schema)


def _check_url(path: str, url: str | None) -> None:
    if url is None:
        return
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ConfigurationError(path, f"{shown_url(url)!r} is not the URL of an HTTP service")


def _check_schema(path: str, schema: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415  # 60 ms that only such an agent pays

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
        raise ConfigurationError(f"{path}{place}", f"not a JSON Schema: {error.message}") from error


def _environment(agent: Agent, base: Path, process: Mapping[str, str], place: str, *, required: bool) -> dict[str, str]:
    variables: dict[str, str] = {}
    named = _or_none(agent.environment_file)
    if named is not None:
        variables = read_environment_file(base / named, required=required, field=f"{place}.environmentFile")
    added = agent_environment(_or(agent.environment, {}), variables, process, f"{place}.environment")
    return without_secrets({**process, **added})


def _or(value: Any, default: Any) -> Any:  # noqa: ANN401  # the key's own type
    return default if isinstance(value, UnsetType) else value


def _or_none(value: str | UnsetType) -> str | None:
    return None if value is UNSET else str(value)
