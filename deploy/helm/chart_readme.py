"""The chart's README.md: `python deploy/helm/chart_readme.py` prints it.

README.in.md is written by hand; the table of values in it is made of values.yaml, each key with the comment above it.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).parent
VALUES: Final = HERE / "agent-orchestration" / "values.yaml"
_KEY: Final = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?P<rest>.*)$")
_COMMENT: Final = re.compile(r"^ *# ?(?P<text>.*)$")
_INDENT: Final = 2


def readme_text() -> str:
    """Give the README as the text of its file."""
    return (HERE / "README.in.md").read_text().replace("@VALUES@", "\n".join(_table()))


def _table() -> Iterator[str]:
    yield "| value | default | |"
    yield "|---|---|---|"
    for path, text, value in _rows():
        default = "" if value is None else f"`{value}`"
        if text or default:
            yield f"| `{path}` | {_cell(default)} | {_cell(text)} |"


def _rows() -> Iterator[tuple[str, str, str | None]]:
    """Give each key's path, the comment above it, and its default as JSON; None for one that has keys of its own."""
    text = VALUES.read_text()
    values, place, comment = yaml.safe_load(text), list[str](), list[str]()
    inside = -1
    """The indentation of a list that is written over several lines: nothing below it is a key."""
    for line in text.splitlines():
        said, found = _COMMENT.match(line), _KEY.match(line)
        if said:
            comment.append(said["text"])
        elif not found or (inside >= 0 and len(found["indent"]) > inside):
            comment = []
        else:
            depth = len(found["indent"]) // _INDENT
            place = [*place[:depth], found["key"]]
            value = _at(values, place)
            block = not found["rest"].partition("#")[0].strip()
            inside = len(found["indent"]) if block and isinstance(value, list) else -1
            has_keys = block and isinstance(value, dict)
            yield ".".join(place), " ".join(comment), None if has_keys else json.dumps(value)
            comment = []


def _at(values: Any, place: list[str]) -> Any:  # noqa: ANN401  # any YAML value
    for key in place:
        values = values[key]
    return values


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(readme_text())
