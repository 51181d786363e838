"""The chart's values.schema.json: `python deploy/helm/values_schema.py` prints it.

values.schema.in.json is written by hand, but for what stands in the configuration file too: a definition there that
says `$from` is taken from the schema of that file, so that the chart accepts what the processes accept.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from agent_contract.schema import configuration_schema

WRITTEN: Final = Path(__file__).with_name("values.schema.in.json")
_MEANINGLESS: Final = ("title", "default")
"""Inside of values: the defaults are those of values.yaml."""


def values_schema() -> dict[str, Any]:
    """Give the schema of the values; draft 7, which every Helm 3 and 4 understands."""
    schema: dict[str, Any] = json.loads(WRITTEN.read_text())
    known = configuration_schema()["$defs"]
    definitions = schema["definitions"]
    schema["definitions"] = {name: _taken(definition, known) for name, definition in definitions.items()}
    return schema


def schema_text() -> str:
    """Give the schema as the text of its file."""
    return json.dumps(values_schema(), indent=2) + "\n"


def _taken(definition: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Give the definition, or what it says to take: `Section` without some keys, or one key as `Section.key`."""
    if "$from" not in definition:
        return definition
    section, _, key = definition["$from"].partition(".")
    if key:
        return _plain(known[section]["properties"][key])
    left_out, nullable = definition.get("$without", ()), definition.get("$nullable", ())
    properties = {name: _plain(value) for name, value in known[section]["properties"].items() if name not in left_out}
    for name in nullable:
        properties[name] = {"oneOf": [properties[name], {"type": "null"}]}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _plain(definition: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in definition.items() if name not in _MEANINGLESS}


if __name__ == "__main__":
    sys.stdout.write(schema_text())
