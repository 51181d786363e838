"""A thousand agents and three managers: what heartbeats cost, and how soon a manager that comes back knows them all.

Three real managers at 127.0.0.1, .2 and .3, behind one name; the adapters' conversations with them, on real sockets, in
two processes. Each instance answers its managers' probes. Takes about a minute:

    python -m benchmarks.managers [AGENTS] [--new-connections]

`--new-connections` makes one for each beat. Traffic stays on this machine.
"""

import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from benchmarks.adapters import START_SECONDS, Notes, work
from benchmarks.hot_paths import free_port

HOSTS: Final = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
WORKERS: Final = 2
STEADY_SECONDS: Final = 30
PATIENCE_SECONDS: Final = 60.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Manager:
    """One manager's process."""

    def __init__(self, host: str, port: int, directory: Path) -> None:
        self.host, self.port, self._directory = host, port, directory
        self.url = f"http://{host}:{port}"
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "agent_manager", "--host", self.host, "--port", str(self.port)]
        with (self._directory / f"{self.host}.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self._directory, stdout=log, stderr=log)
        until(lambda: self.listed() is not None)

    def stop(self) -> None:
        """Let it leave in order."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(45)

    def listed(self) -> int | None:
        """Give how many agents it lists that run and are reachable; None where it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/agent-services", timeout=5) as answer:  # noqa: S310  # loopback
                agents = json.load(answer)["agents"]
        except OSError:
            return None
        return len([one for one in agents if one["readyInstances"] == 1 and one["state"] == "running"])

    def cpu_seconds(self) -> float:
        """Give what it has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def megabytes(self) -> float:
        """Give what it has in memory."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024

    def sockets(self) -> int:
        """Give how many it has open."""
        count = 0
        for path in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                count += path.readlink().name.startswith("socket:")
        return count


def until(holds: Callable[[], object]) -> float:
    """Give after how many seconds something held; stops the run where it never did."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > PATIENCE_SECONDS:
            sys.exit(f"not within {PATIENCE_SECONDS:g} s")
        time.sleep(0.05)  # between looks: each lists a thousand agents
    return time.monotonic() - began


def lists(manager: Manager, count: int) -> bool:
    """Tell whether a manager lists so many."""
    return manager.listed() == count


@contextmanager
def adapters(count: int, managers: list[Manager], *, keep: bool) -> Iterator[list[Connection]]:
    """Run the adapters in two processes until the block ends."""
    context = multiprocessing.get_context("spawn")
    ends, processes = [], []
    for number in range(WORKERS):
        mine, theirs = context.Pipe()
        share = range(count * number // WORKERS, count * (number + 1) // WORKERS)
        addresses = [(manager.host, manager.port) for manager in managers]
        process = context.Process(target=work, args=(theirs, share, addresses, keep))
        process.start()
        theirs.close()
        ends.append(mine)
        processes.append(process)
    try:
        yield ends
    finally:
        for end, process in zip(ends, processes, strict=True):
            with suppress(OSError):  # it failed, and said why
                end.send("end")
            process.join(10)
            process.kill()


def noted(ends: list[Connection]) -> Notes:
    """Give what was noted since this was asked last."""
    total = Notes()
    for end in ends:
        end.send("report")
        notes: Notes = end.recv()
        total.beats += notes.beats
        total.failures += notes.failures
        total.connections += notes.connections
    total.beats.sort()
    return total


def steady(managers: list[Manager], ends: list[Connection]) -> None:
    """Measure a while in which nothing happens but beats and probes."""
    noted(ends)
    before = [manager.cpu_seconds() for manager in managers]
    began = time.monotonic()
    time.sleep(STEADY_SECONDS)  # what is measured
    took = time.monotonic() - began
    notes = noted(ends)
    beats = [seconds * 1000 for seconds in notes.beats]
    print(f"beats: {len(beats) / took:.0f}/s, new connections {notes.connections / took:.0f}/s", end=", ")
    print(f"failed {len(notes.failures)}")
    median, worst = beats[len(beats) // 2], beats[len(beats) * 99 // 100]
    print(f"a beat: p50 {median:.1f} ms, p99 {worst:.1f} ms, longest {beats[-1]:.1f} ms")
    for manager, cpu in zip(managers, before, strict=True):
        share = (manager.cpu_seconds() - cpu) / took
        sockets, megabytes = manager.sockets(), manager.megabytes()
        print(f"{manager.host}: {share:.1%} of a core, {megabytes:.0f} MB, {sockets} sockets, lists {manager.listed()}")


def measure(managers: list[Manager], count: int, *, keep: bool) -> None:
    """Measure the arrival of all, a steady while, and a manager's restart."""
    idle = statistics.mean(manager.megabytes() for manager in managers)
    print(f"{count} agents, {len(managers)} managers of {idle:.0f} MB each with none")
    with adapters(count, managers, keep=keep) as ends:
        noted(ends)
        took = max(until(partial(lists, manager, count)) for manager in managers)
        print(f"all begin within {START_SECONDS:g} s: each manager lists {count} after {took:.1f} s")
        time.sleep(5)  # each beats in its own time now
        steady(managers, ends)
        restarted = managers[1]
        restarted.stop()
        noted(ends)
        restarted.start()
        took = until(partial(lists, restarted, count))
        failures = noted(ends).failures
        others = [manager.listed() for manager in managers if manager is not restarted]
        print(f"a manager's restart: it lists {count} {took:.1f} s after it answers; the others list {others}")
        elsewhere = [each for each in failures if restarted.host not in each]
        print(f"  attempts that failed meanwhile: {len(failures)}, of them at the other managers {len(elsewhere)}")


def main() -> None:
    """Measure, and print the figures."""
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        managers = [Manager(host, port, Path(directory)) for host in HOSTS]
        for manager in managers:
            manager.start()
        try:
            measure(managers, *(numbers or [1000]), keep="--new-connections" not in sys.argv)
        finally:
            for manager in managers:
                manager.stop()


if __name__ == "__main__":
    main()
