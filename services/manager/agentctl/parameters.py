"""The parameters of a call from the command line: `-p goal=text`, `-p limit:=3`, `-f FILE`."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import msgspec


def read_parameters(pairs: Iterable[str], file: str | None) -> dict[str, Any]:
    """Give the parameters: those of the file (`-` is standard input), then those of `-p`, which win.

    Raises:
        click.UsageError: a pair is none, a value is not JSON, or the file holds no JSON object.

    """
    parameters = {} if file is None else _of_file(file)
    for pair in pairs:
        name, found, value = pair.partition("=")
        if not found or name in {"", ":"}:
            raise click.UsageError(f"cannot read -p {pair!r}: write name=text or name:=JSON")
        if name.endswith(":"):
            parameters[name[:-1]] = _json(value, f"-p {pair!r}")
        else:
            parameters[name] = value
    return parameters


def _of_file(file: str) -> dict[str, Any]:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise click.UsageError(f"cannot read -f {file!r}: {error.strerror}") from error
    parameters = _json(content, f"-f {file!r}")
    if not isinstance(parameters, dict):
        raise click.UsageError(f"cannot use -f {file!r}: the parameters are a JSON object")
    return parameters


def _json(text: str | bytes, source: str) -> Any:  # noqa: ANN401  # any JSON value
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise click.UsageError(f"cannot read {source}: not JSON: {error}") from error
