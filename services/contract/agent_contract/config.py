"""The configuration file `config/agents.config.json`: its keys, their types and limits, their defaults.

A key that the file leaves out is `UNSET`, so that `defaults` and the environment can fill it before the default does.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from agent_contract.identity import AGENT_ID_PATTERN

Text = Annotated[str, Meta(min_length=1)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Duration = Annotated[float, Meta(ge=0, le=604_800)]
PositiveDuration = Annotated[float, Meta(gt=0, le=604_800)]
LogLevel = Literal["debug", "info", "warning", "error"]
Isolation = Literal["thread", "process"]
HttpUrl = Annotated[str, Meta(pattern=r"^https?://[^\s/?#]+/?$")]
EntryPoint = Annotated[str, Meta(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]


class Section(Struct, rename="camel", frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """An object of the file: a key that it does not know is an error."""


class Discovery(Section, frozen=True):
    """Where the manager learns which instances exist."""

    mode: Literal["auto", "registration", "kubernetes"] = "auto"
    namespaces: Annotated[list[Text], Meta(description="The manager's own when left out.")] | UnsetType = UNSET


class Runtime(Section, frozen=True):
    """What manager and adapters share."""

    manager_url: Annotated[HttpUrl, Meta(description="Where the manager is.")] | UnsetType = UNSET
    log_directory: Annotated[Text, Meta(description="Relative to the working directory.")] = "logs"
    log_level: LogLevel = "info"
    drain_timeout_seconds: Annotated[Duration, Meta(description="How long work in hand may take to finish.")] = 30
    heartbeat_interval_seconds: Annotated[PositiveDuration, Meta(description="Each beat comes +-10 % of it.")] = 5
    registration_ttl_seconds: Annotated[PositiveDuration, Meta(description="Silence after which one is gone.")] = 30
    hold_seconds: Annotated[Duration, Meta(description="How long calls wait for an instance to be back.")] = 15
    manager_quiet_seconds: Annotated[Duration, Meta(description="How long it serves on, unready, at first.")] = 0
    manager_drain_timeout_seconds: Annotated[Duration, Meta(description="How long forwards may take to finish.")] = 30
    allowed_service_hosts: Annotated[
        list[Text], Meta(description="Hosts and networks that adapters may register beside their own address.")
    ] = field(default_factory=list)
    discovery: Discovery = Discovery()


class AgentSettings(Section, frozen=True):
    """What may stand in `defaults` and at an agent."""

    description: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    working_directory: Annotated[Text, Meta(description="Where the agent runs, first on sys.path.")] | UnsetType = UNSET
    isolation: (
        Annotated[Isolation, Meta(description="Python code in the adapter's process or in a child.")] | UnsetType
    ) = UNSET
    host: (
        Annotated[Text, Meta(description="Where `agentctl up` binds it and the manager looks for it.")] | UnsetType
    ) = UNSET
    default_model: str | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    parameters_schema: Annotated[dict[str, Any], Meta(description="JSON Schema 2020-12.")] | UnsetType = UNSET
    drain_timeout_seconds: Duration | UnsetType = UNSET
    task_timeout_seconds: (
        Annotated[PositiveDuration | None, Meta(description="A longer task is cancelled; null: none is.")] | UnsetType
    ) = UNSET
    max_concurrency: Annotated[int, Meta(ge=1, le=10_000, description="How many tasks run at once.")] | UnsetType = (
        UNSET
    )
    max_queue: Annotated[int, Meta(ge=0, le=100_000, description="How many more may wait.")] | UnsetType = UNSET
    max_body_bytes: Annotated[int, Meta(ge=1, le=1 << 30)] | UnsetType = UNSET
    quiet_seconds: (
        Annotated[Duration, Meta(description="After a signal new work is still taken for so long.")] | UnsetType
    ) = UNSET
    log_level: LogLevel | UnsetType = UNSET
    environment: (
        Annotated[dict[str, str], Meta(description="${NAME} and ${NAME:-text} come from the process.")] | UnsetType
    ) = UNSET
    environment_file: Annotated[Text, Meta(description="In .env syntax, relative to this file.")] | UnsetType = UNSET


class Agent(AgentSettings, frozen=True, kw_only=True):
    """One agent of the file: at most one of `entryPoint`, `command` and `upstream` says how it runs."""

    id: Annotated[str, Meta(pattern=AGENT_ID_PATTERN)]
    name: str | UnsetType = UNSET
    port: Port | UnsetType = UNSET
    entry_point: Annotated[EntryPoint, Meta(description="package.module:name")] | UnsetType = UNSET
    command: Annotated[list[Text], Meta(min_length=1, description="Any program, JSON lines.")] | UnsetType = UNSET
    upstream: Annotated[HttpUrl, Meta(description="An HTTP service beside the adapter.")] | UnsetType = UNSET


class ConfigurationFile(Section, frozen=True):
    """The whole file."""

    schema: Annotated[str, Meta(description="This schema, for editors.")] | UnsetType = field(
        name="$schema", default=UNSET
    )
    runtime: Runtime = Runtime()
    defaults: AgentSettings = AgentSettings()
    agents: list[Agent] = field(default_factory=list)


DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8100
DEFAULT_MAX_CONCURRENCY = 1
DEFAULT_MAX_QUEUE = 16
DEFAULT_MAX_BODY_BYTES = 10 * 1024 * 1024
DEFAULT_QUIET_SECONDS = 0.0
