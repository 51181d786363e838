"""Which files an agent is made of: its entry point's module and what that imports from the same directory tree."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent_contract.config import Agent
from msgspec import UNSET

_MOST_FILES: Final = 2000
"""Files watched per agent; a tree with more is watched in part."""


def files_of(agent: Agent, base: Path) -> frozenset[Path]:
    """Give the files whose change is a change of the agent; none for an upstream.

    Python is followed through its import statements, as far as they lead to files below the working directory; what a
    module imports by a computed name is not seen. Of a command, the arguments that are files count.
    """
    root = base / agent.working_directory if agent.working_directory is not UNSET else base
    if agent.entry_point is not UNSET:
        return _closure(_module_files(agent.entry_point.partition(":")[0], root), root)
    command = agent.command if agent.command is not UNSET else []
    named = [root / word for word in command if (root / word).is_file()]
    return _closure(named, root)


def _closure(first: list[Path], root: Path) -> frozenset[Path]:
    found: set[Path] = set()
    waiting = list(first)
    while waiting and len(found) < _MOST_FILES:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [file for name in _imports(path, root) for file in _module_files(name, root)]
    return frozenset(found)


def _module_files(name: str, root: Path) -> list[Path]:
    """Give the file of a module and those of the packages above it, as far as they are below `root`."""
    parts = name.split(".")
    candidates = [root.joinpath(*parts[:end], "__init__.py") for end in range(1, len(parts) + 1)]
    candidates.append(root.joinpath(*parts).with_suffix(".py"))
    return [path for path in candidates if path.is_file()]


def _imports(path: Path, root: Path) -> Iterator[str]:
    """Give the names that a Python file may import: of `from a import b`, both `a` and `a.b`."""
    if path.suffix != ".py":
        return
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return  # half-written by an editor; the next change is read again
    package = path.relative_to(root).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)
