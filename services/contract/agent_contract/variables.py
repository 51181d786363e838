"""Environment variables that stand over the file: those of `runtime`, and how a text becomes a key's type."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import fields

from agent_contract.config import Agent, Runtime
from agent_contract.loading import ConfigurationError, to_builtins

RUNTIME_VARIABLES: Final = {
    "managerUrl": "MANAGER_URL",
    "drainTimeoutSeconds": "DRAIN_TIMEOUT_SECONDS",
    "logDirectory": "LOG_DIRECTORY",
    "logLevel": "LOG_LEVEL",
    "heartbeatIntervalSeconds": "HEARTBEAT_INTERVAL_SECONDS",
    "registrationTtlSeconds": "REGISTRATION_TTL_SECONDS",
}
"""The variable of each key of `runtime` that has one."""


def runtime_over(runtime: Runtime, process: Mapping[str, str]) -> Runtime:
    """Give the file's `runtime` with what the environment says instead; raises ConfigurationError."""
    said = {
        key: read_variable(Runtime, key, process[variable], variable)
        for key, variable in RUNTIME_VARIABLES.items()
        if process.get(variable)
    }
    return msgspec.convert({**to_builtins(runtime), **said}, Runtime)


def read_variable(section: type[msgspec.Struct], key: str, text: str, variable: str) -> Any:  # noqa: ANN401  # the key's own type
    """Give a variable's text as the type of its key; raises ConfigurationError with the variable's name."""
    required = {"id": "x"} if section is Agent else {}
    value = None if text == "null" and key == "taskTimeoutSeconds" else text
    try:
        checked = msgspec.convert({**required, key: value}, section, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(variable, f"{text!r}: {str(error).partition(' - at ')[0].lower()}") from error
    return next(getattr(checked, field.name) for field in fields(section) if field.encode_name == key)
