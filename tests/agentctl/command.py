"""Running `agentctl` as its users do: a process, its output, its exit code."""

import io
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from agentctl.__main__ import main

SECONDS = 30
"""Bounds every run: a command that hangs fails its test."""


def environment(manager_url: str | None = None, **variables: str) -> dict[str, str]:
    """Give an environment without the settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGENT", "MANAGER", "NO_COLOR"))}
    known = {} if manager_url is None else {"AGENT_MANAGER_URL": manager_url}
    return {**kept, "COLUMNS": "120", "TERM": "xterm", **known, **variables}


def line(*arguments: str, plugin: bool = False) -> list[str]:
    """Give the command line of `agentctl`; as kubectl's plugin it has another entry."""
    entry = "import sys; from agentctl.__main__ import main_of_plugin; sys.exit(main_of_plugin())"
    return [sys.executable, *(["-c", entry] if plugin else ["-m", "agentctl"]), *arguments]


def agentctl(
    *arguments: str,
    manager: str | None = None,
    stdin: str = "",
    cwd: Path | None = None,
    variables: Mapping[str, str] | None = None,
    plugin: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Give what a command printed and its exit code."""
    return subprocess.run(
        line(*arguments, plugin=plugin),
        input=stdin,
        env=environment(manager, **(variables or {})),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def invoke(
    *arguments: str, manager: str | None = None, entry: Callable[[], int] = main
) -> subprocess.CompletedProcess[str]:
    """Give what `agentctl` gives, run in this process: for the many variations of what one process run has shown."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    with (
        mock.patch.dict(os.environ, environment(manager), clear=True),
        mock.patch.multiple(sys, argv=["agentctl", *arguments], stdout=streams[0], stderr=streams[1]),
    ):
        code = entry()
    for stream in streams:
        stream.seek(0)
    return subprocess.CompletedProcess(arguments, code, streams[0].read(), streams[1].read())


class Running:
    """A command that goes on, read as it writes."""

    def __init__(self, process: subprocess.Popen[bytes], source: int) -> None:
        self.process = process
        self.text = ""
        self._source = source

    def until(self, part: str) -> str:
        """Read until `part` was written, and give all that was written so far."""
        deadline = time.monotonic() + SECONDS
        while part not in self.text:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._source], [], [], left)[0] or not self._read():
                raise AssertionError(f"{part!r} never came; what came: {self.text}")
        return self.text

    def rest(self) -> tuple[int, str]:
        """Give the exit code and all that was written."""
        while self._read():
            pass
        return self.process.wait(SECONDS), self.text

    def _read(self) -> bool:
        try:
            data = os.read(self._source, 65536)
        except OSError:  # a terminal whose last writer has gone
            return False
        self.text += data.decode()
        return bool(data)


@contextmanager
def running(
    *arguments: str,
    manager: str | None = None,
    cwd: Path | None = None,
    terminal: bool = False,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Give a command under way, its standard output and error together; `terminal` gives it one of its own."""
    reading, writing = pty.openpty() if terminal else os.pipe()
    process = subprocess.Popen(
        line(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=writing,
        cwd=cwd,
        env=environment(manager, **(variables or {})),
    )
    os.close(writing)
    try:
        yield Running(process, reading)
    finally:
        process.kill()
        process.wait()
        os.close(reading)
