"""`agentctl logs`: an agent's log lines, readable, of all its instances."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click
import msgspec

from agentctl.arguments import AGENT_ID, DURATION
from agentctl.client import Manager
from agentctl.connection import talks_to_manager
from agentctl.failures import CommandFailed
from agentctl.log_lines import fields_of, readable
from agentctl.terminal import colours, note, one_line, say
from agentctl.views import View, error_text, members, read
from agentctl.watch import FLEET, again

_DEFAULT_LINES: Final = 100
_MOST_LINES: Final = 5000


class LogLine(View, frozen=True):
    """One line of one instance; `error` says why an instance has none to give."""

    instance_id: str = ""
    line: str = ""
    error: Any = None


@click.command()
@click.argument("agent_id", metavar="ID", type=AGENT_ID)
@click.option("-f", "--follow", is_flag=True, help="Go on with each new line.")
@click.option("--tail", type=click.IntRange(1, _MOST_LINES), metavar="N", help="The last N lines, 100 if not said.")
@click.option("--since", type=DURATION, metavar="D", help="Only lines younger than D, of the last 5000.")
@click.option("--instance", "instance_id", metavar="I", help="Only this instance.")
@talks_to_manager
def logs(
    manager: Manager, agent_id: str, tail: int | None, since: float | None, instance_id: str | None, *, follow: bool
) -> None:
    """Print the log of agent ID."""
    lines = tail or (_DEFAULT_LINES if since is None else _MOST_LINES)
    params: dict[str, str | int | None] = {"lines": lines, "instanceId": instance_id}
    path = f"{FLEET}/{agent_id}/logs"
    printer = LogPrinter(agent_id, since)
    if not follow:
        for raw in members(manager.get(path, **params), "lines"):
            printer.print(read(raw, LogLine))
        return
    for line in again(lambda: _follow(manager, path, {**params, "follow": "true"}, printer), manager, note):
        printer.print(line)


def _follow(
    manager: Manager, path: str, params: dict[str, str | int | None], printer: "LogPrinter"
) -> Iterator[LogLine]:
    printer.begin()
    for event in manager.stream("GET", path, params=params):
        try:
            yield msgspec.json.decode(event.data, type=LogLine)
        except msgspec.MsgspecError as error:
            raise CommandFailed(f"cannot read the log stream: {error}") from error


class LogPrinter:
    """Prints each line once, also when a stream that was begun again brings its tail again."""

    def __init__(self, agent_id: str, since_seconds: float | None) -> None:
        self._agent_id = agent_id
        oldest = None if since_seconds is None else datetime.now(UTC) - timedelta(seconds=since_seconds)
        self._oldest = "" if oldest is None else _sortable(oldest.isoformat())
        self._latest: dict[str, str] = {}
        self._printed: dict[str, str] = {}
        self._skipping: dict[str, bool] = {}
        self._colour = colours(sys.stdout)

    def begin(self) -> None:
        """Take what follows for a new stream: what is no younger than an instance's last line was printed already."""
        self._printed = dict(self._latest)

    def print(self, line: LogLine) -> None:
        """Print a line that is young enough and new; one without a time goes with the line before it."""
        name = line.instance_id
        if line.error is not None:
            note(f"instance {name} has no log to give: {error_text(line.error)}")
            return
        time = _sortable(str((fields_of(line.line) or {}).get("timestamp", "")))
        if time:
            self._skipping[name] = time < self._oldest or time <= self._printed.get(name, "")
        self._latest[name] = max(self._latest.get(name, ""), time)
        if not self._skipping.get(name, False):
            say(self._prefix(name) + readable(line.line, colour=self._colour, under=self._agent_id))

    def _prefix(self, instance_id: str) -> str:
        """Tell the instances apart by the ends of their ids once there are several."""
        return f"{one_line(instance_id)[-6:]} | " if len(self._latest) > 1 else ""


def _sortable(time: str) -> str:
    """Give an RFC 3339 time in UTC in the form whose order as text is that of time."""
    return time.replace("+00:00", "").rstrip("Z")
