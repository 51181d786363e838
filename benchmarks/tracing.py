"""What tracing costs the hot paths, in one run, as ratios: `python -m benchmarks.tracing`.

Managers in front of one backend, and adapters of one echo: without tracing, with tracing that samples nothing, and with
tracing that samples everything and sends it to a collector that takes it. They are called in turn, several times, in
several lives, for one process differs from the next by some percent; a second one without tracing shows by how much.
Compared are calls a second, and processor time a call, which moves less with whatever else the machine does. Adapters
are called as a manager calls them: with the `traceparent` that says what it decided. Needs nginx and wrk. Traffic stays
on 127.0.0.1.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

from benchmarks.hot_paths import (
    ANSWER,
    BACKEND,
    ECHO_AGENT,
    INSTANCE,
    free_port,
    nginx,
    post,
    requests_per_second,
    running,
)

LIVES = 6
ROUNDS = 3
SECONDS = 2
COLLECTOR = """
server {{ listen 127.0.0.1:{port}; client_max_body_size 64m; client_body_buffer_size 8m;
  location / {{ default_type application/x-protobuf; return 200 ''; }} }}
"""
NOTHING = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
EVERYTHING = {"OTEL_TRACES_SAMPLER": "parentbased_always_on"}
OUT, IN = (f"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}" for flags in ("00", "01"))
STEADY = {"PYTHONHASHSEED": "0"}
"""Else one process has its dictionaries in a luckier order than the other."""

Process = Popen[bytes]


class Way(NamedTuple):
    """One of those that are compared: its variables, and the `traceparent` that its adapter gets."""

    name: str
    variables: dict[str, str]
    traceparent: str | None


class Served(NamedTuple):
    """A server: where its calls go, its process, and the calls' headers."""

    url: str
    process: Process
    headers: dict[str, str]


class Measured(NamedTuple):
    """What one round of one server came to."""

    calls_a_second: float
    microseconds_a_call: float


def compare(name: str, serve: Callable[[Way, ExitStack], Served], collector: str, directory: Path) -> None:
    """Serve in each way, call them in turn, and print each beside the one without tracing."""
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}
    ways = (
        Way("without", {}, None),
        Way("without again", {}, None),
        Way("sampled out", {**endpoint, **NOTHING}, OUT),
        Way("recorded", {**endpoint, **EVERYTHING}, IN),
    )
    rounds: dict[str, list[Measured]] = {way.name: [] for way in ways}
    for life in range(LIVES):
        with ExitStack() as stack:
            served = [serve(way, stack) for way in ways]
            for _ in range(ROUNDS):
                for way, one in zip(ways, served, strict=True):
                    print(f"  {name}: life {life + 1} of {LIVES}, {way.name:<14}", end="\r", flush=True)
                    rounds[way.name].append(_measure(one, directory))
    for way in ways[1:]:
        pairs = list(zip(rounds[way.name], rounds["without"], strict=True))
        calls = statistics.median(mine.calls_a_second / other.calls_a_second for mine, other in pairs)
        ratios = sorted(mine.microseconds_a_call / other.microseconds_a_call for mine, other in pairs)
        quarter = len(ratios) // 4
        mine, other = (
            statistics.median(one.microseconds_a_call for one in rounds[each]) for each in (way.name, "without")
        )
        print(
            f"{name}, {way.name:<14} calls {calls:.3f}   processor {statistics.median(ratios):.3f}"
            f" (half of the rounds {ratios[quarter]:.2f} to {ratios[-quarter - 1]:.2f})   {other:.0f} -> {mine:.0f} us"
        )


def manager(directory: Path, collector: str, stack: ExitStack) -> None:
    """Compare managers in front of one backend that answers at once."""
    backend = free_port()
    nginx(directory, "backend", BACKEND.format(port=backend, answer=ANSWER, instance=INSTANCE))
    url = f"http://127.0.0.1:{backend}"
    stack.enter_context(running(["nginx", "-c", f"{directory}/backend.conf"], f"{url}/status", directory))

    def serve(way: Way, life: ExitStack) -> Served:
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "agent_manager", "--port", str(port)]
        settings = {"REGISTRATION_TTL_SECONDS": "600", **STEADY, **way.variables}
        process = life.enter_context(running(command, f"{base}/health", directory, **settings))
        service = {"id": "bench", "serviceUrl": url, "instanceId": INSTANCE, "status": "running"}
        post(f"{base}/api/agent-services/register", service)
        return Served(f"{base}/api/agent-services/bench/execute", process, {})

    compare("manager", serve, collector, directory)


def adapter(directory: Path, collector: str, _: ExitStack) -> None:
    """Compare adapters of an agent that gives its parameters back."""
    (directory / "echo_agent.py").write_text(ECHO_AGENT)

    def serve(way: Way, life: ExitStack) -> Served:
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "agent_adapter", "--agent", "bench", "--entry-point", "echo_agent:echo"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        settings = {"AGENT_MAX_CONCURRENCY": "64", **STEADY, **way.variables}
        process = life.enter_context(running(command, f"{base}/ready", directory, **settings))
        headers = {} if way.traceparent is None else {"traceparent": way.traceparent}
        return Served(f"{base}/execute", process, headers)

    compare("adapter", serve, collector, directory)


@contextmanager
def collecting(directory: Path) -> Iterator[str]:
    """Give the endpoint of a collector that takes everything and keeps nothing."""
    port = free_port()
    nginx(directory, "collector", COLLECTOR.format(port=port))
    url = f"http://127.0.0.1:{port}"
    with running(["nginx", "-c", f"{directory}/collector.conf"], url, directory):
        yield url


def main() -> None:
    """Measure what was named, or both."""
    known = {"manager": manager, "adapter": adapter}
    for name in sys.argv[1:] or known:
        with tempfile.TemporaryDirectory() as folder, collecting(Path(folder)) as collector, ExitStack() as stack:
            known[name](Path(folder), collector, stack)


def _measure(one: Served, directory: Path) -> Measured:
    before = _processor_seconds(one.process)
    rate = requests_per_second(one.url, directory, seconds=SECONDS, headers=one.headers)
    used = _processor_seconds(one.process) - before
    return Measured(rate, used / (rate * SECONDS) * 1e6)


def _processor_seconds(process: Process) -> float:
    """Give the processor time that a process has used so far, its threads' included."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
