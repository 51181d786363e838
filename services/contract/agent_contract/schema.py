"""The JSON Schema of the configuration file: `python -m agent_contract.schema` prints it."""

import json
import sys
from typing import Any

import msgspec

from agent_contract.config import ConfigurationFile


def configuration_schema() -> dict[str, Any]:
    """Give the schema (JSON Schema 2020-12) that config/agents.config.schema.json holds."""
    schema = msgspec.json.schema(ConfigurationFile)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of manager and agents",
        **schema,
    }


def schema_text() -> str:
    """Give the schema as the text of its file."""
    return json.dumps(configuration_schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
