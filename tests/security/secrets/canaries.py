"""Secrets that one recognises: each holds a mark, and what was printed, answered or written is searched for it."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MARK = "canary-4c1f"


def canary(name: str) -> str:
    """Give a secret whose name is told when it is found."""
    return f"{MARK}-{name}-0123456789abcdef"


UNUSED: Final = {
    "AGENT_MANAGER_API_KEY": canary("unused-key"),
    "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={canary('unused-header')}",
}
"""Secrets that every process gets which the fixtures start: they open nothing, and are to be seen nowhere."""


def leaks(text: str, *others: str) -> set[str]:
    """Give the canaries in a text, as they are or in base64, and `others` that are in it."""
    found = set(re.findall(rf"{MARK}-[a-z-]+", text))
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + MARK.encode()).decode()[4 if shift else 0 : -4]
        found |= {f"base64 of {encoded}"} if encoded in text else set()
    return found | {other for other in others if other in text}


def written(folder: Path) -> Iterator[tuple[str, str]]:
    """Give name and text of every log file below a folder, whatever made it."""
    for path in sorted(folder.rglob("*.log*")):
        if path.is_file():
            yield path.name, path.read_text(errors="replace")


def family(pid: int) -> set[int]:
    """Give a process and those that it began, and those that these began."""
    found, parents = {pid}, dict(_parents())
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def command_line(pid: int) -> str:
    """Give the arguments of a process: everybody on its machine may read them."""
    return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")


def environment(pid: int) -> dict[str, str]:
    """Give the variables that a process began with."""
    pairs = (line.partition("=") for line in Path(f"/proc/{pid}/environ").read_text(errors="replace").split("\0"))
    return {name: value for name, _, value in pairs if name}


def _parents() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:  # it has ended meanwhile
                continue
            yield int(entry.name), int(stat.rpartition(")")[2].split()[1])
