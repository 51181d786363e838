"""What each way to run a Python agent costs: `python benchmarks/isolation.py` prints the table of docs/isolation.md.

Start: from the start of the process to the first 200 of /ready. A call: HTTP on one connection, the agent gives its
parameters back. Exit: from SIGTERM, idle. Memory: of adapter, child and guard each the proportional (shared pages are
split) and the resident set size, after the calls. Linux only; traffic stays on 127.0.0.1.
"""

import http.client
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

LIVES = 11
LIVES_WITH_CALLS = 6
CALLS = 2000
AGENTS = """
def sync(parameters): return parameters
async def on_loop(parameters): return parameters
"""


@contextmanager
def adapter(folder: Path, isolation: str, function: str) -> Iterator[tuple[subprocess.Popen[bytes], int, float]]:
    """Give an adapter that is ready, its port, and how many seconds that took."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "agent_adapter", "--agent", "bench", "--host", "127.0.0.1", "--port", "0"],
        stdout=subprocess.PIPE,
        env={
            **os.environ,
            "AGENT_ENTRY_POINT": f"bench_agents:{function}",
            "AGENT_ISOLATION": isolation,
            "AGENT_WORKING_DIRECTORY": str(folder),
            "LOG_DIRECTORY": str(folder / "logs"),
        },
    )
    assert process.stdout is not None
    try:
        port = next(int(found[1]) for line in process.stdout if (found := re.search(rb'"port":(\d+)', line)))
        while not ready(port):
            time.sleep(0.002)
        yield process, port, time.perf_counter() - began
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def ready(port: int) -> bool:
    """Tell whether the adapter is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    finally:
        connection.close()


def call(port: int) -> float:
    """Give the median time of a call, in seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    body = json.dumps({"parameters": {"text": "x" * 200}})
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        connection.request("POST", "/execute", body, {"content-type": "application/json"})
        assert connection.getresponse().read()
        times.append(time.perf_counter() - began)
    connection.close()
    return statistics.median(times)


def family(pid: int) -> list[int]:
    """Give a process and those that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in family(int(child)))]


def memory(pid: int) -> tuple[float, float]:
    """Give the proportional and the resident set size of a process, in MB."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return tuple(int(re.search(rf"{name}: +(\d+)", rollup)[1]) / 1024 for name in ("Pss", "Rss"))  # type: ignore[index,return-value]  # the kernel has both


def exit_seconds(process: subprocess.Popen[bytes]) -> float:
    """Give how long an idle adapter takes to leave."""
    began = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    return time.perf_counter() - began


@dataclass
class Way:
    """What the lives of one way gave, in seconds and MB."""

    isolation: str
    starts: list[float] = field(default_factory=list)
    exits: list[float] = field(default_factory=list)
    calls: dict[str, list[float]] = field(default_factory=lambda: {"sync": [], "on_loop": []})
    sizes: list[tuple[float, float]] = field(default_factory=list)

    def live(self, folder: Path, life: int) -> None:
        """Measure one life."""
        function = ("sync", "on_loop")[life % 2]
        with adapter(folder, self.isolation, function) as (process, port, seconds):
            self.starts.append(seconds)
            if life < LIVES_WITH_CALLS:
                self.calls[function].append(call(port))
            self.sizes = [memory(pid) for pid in family(process.pid)]
            self.exits.append(exit_seconds(process))

    def report(self) -> str:
        """Give the medians, for people."""
        calls = ", ".join(f"{name} {statistics.median(found) * 1e6:.0f} us" for name, found in self.calls.items())
        start, leave = statistics.median(self.starts) * 1e3, statistics.median(self.exits) * 1e3
        sizes = ", ".join(f"{pss:.1f} {rss:.1f}" for pss, rss in self.sizes)
        return f"{self.isolation}: ready {start:.0f} ms, exit {leave:.0f} ms, a call: {calls}; MB: {sizes}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "bench_agents.py").write_text(AGENTS)
        ways = [Way("thread"), Way("process")]
        for number in range(LIVES):
            for way in ways:  # in turn: on a shared machine only the difference means something
                way.live(Path(name), number)
        for way in ways:
            print(way.report())
