"""The environment of agent code: what the configuration adds to it, and which secrets it never sees."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from agent_contract.loading import ConfigurationError
from agent_contract.tracing.loading import HEADERS

SECRETS: Final = frozenset(
    {
        "MANAGER_TOKEN",
        "MANAGER_TOKEN_FILE",
        "MANAGER_AGENT_TOKENS_FILE",
        "MANAGER_API_KEYS_FILE",
        "AGENT_MANAGER_API_KEY",
        "AGENT_MANAGER_API_KEY_FILE",
        "MANAGER_TLS_KEY",
        "AGENT_TLS_KEY",
        *HEADERS,
    }
)
"""Variables that are for adapter, manager and agentctl alone."""

_REFERENCE: Final = re.compile(r"\$(?:(?P<escape>\$)|\{(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?\})")


def expand(text: str, variables: Mapping[str, str], path: str) -> str:
    """Give `text` with `${NAME}` and `${NAME:-text}` filled in from `variables`; `$$` is a dollar sign.

    Raises:
        ConfigurationError: a NAME without a default is not set; it carries `path`.

    """

    def value(match: re.Match[str]) -> str:
        if match["escape"]:
            return "$"
        found = variables.get(match["name"])
        if match["default"] is not None:
            return found or match["default"]
        if found is None:
            raise ConfigurationError(path, f"environment variable {match['name']} is not set")
        return found

    return _REFERENCE.sub(value, text)


def read_environment_file(path: Path, *, required: bool, field: str) -> dict[str, str]:
    """Give the variables of a file in `.env` syntax; one that is missing is empty unless it is required.

    Raises:
        ConfigurationError: the file is required and missing, or cannot be read; it carries `field`.

    """
    try:
        with path.open(encoding="utf-8") as stream:
            return {name: value or "" for name, value in dotenv_values(stream=stream).items()}
    except FileNotFoundError as error:
        if required:
            raise ConfigurationError(field, f"no such file: {path}") from error
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(field, f"cannot read {path}: {error}") from error


def agent_environment(
    settings: Mapping[str, str], file: Mapping[str, str], process: Mapping[str, str], path: str
) -> dict[str, str]:
    """Give the variables to add to the process's own for agent code; those that the process has are left out.

    `settings` are the configuration's texts with references, `file` those of the environment file. A reference sees the
    process's variables first and then the file's.

    Raises:
        ConfigurationError: a referenced variable is not set.

    """
    known = {**file, **process}
    expanded = {name: expand(text, known, f"{path}.{name}") for name, text in settings.items() if name not in process}
    return {name: text for name, text in {**file, **expanded}.items() if name not in process}


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Give `variables` as agent code and children may see them."""
    return {name: value for name, value in variables.items() if name not in SECRETS}
