"""What tracing costs the hot paths, in one run, as ratios: `python -m benchmarks.tracing`.

Three managers in front of one backend, and three adapters of one echo: without tracing, with tracing that samples
nothing, and with tracing that samples everything and sends it to a collector that takes it. They are called in turn,
several times; compared are the medians of calls a second, and of processor time a call, which moves less with whatever
else the machine does. Needs nginx and wrk. Traffic stays on 127.0.0.1.
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
    SECONDS,
    free_port,
    nginx,
    post,
    requests_per_second,
    running,
)

ROUNDS = 9
COLLECTOR = """
server {{ listen 127.0.0.1:{port}; client_max_body_size 64m; client_body_buffer_size 8m;
  location / {{ default_type application/x-protobuf; return 200 ''; }} }}
"""
NOTHING = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
EVERYTHING = {"OTEL_TRACES_SAMPLER": "parentbased_always_on"}

Process = Popen[bytes]
Serve = Callable[[dict[str, str]], "Served"]


class Served(NamedTuple):
    """A server: where its calls go, and its process."""

    url: str
    process: Process


class Measured(NamedTuple):
    """What one round of one server came to."""

    calls_a_second: float
    microseconds_a_call: float


def compare(name: str, serve: Serve, collector: str, directory: Path) -> None:
    """Serve in the three ways, call them in turn, print what the two with tracing cost."""
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}
    ways = {"without": {}, "sampled out": {**endpoint, **NOTHING}, "recorded": {**endpoint, **EVERYTHING}}
    served = {way: serve(variables) for way, variables in ways.items()}
    rounds: dict[str, list[Measured]] = {way: [] for way in served}
    for number in range(ROUNDS):
        for way, one in served.items():
            print(f"  {name}: round {number + 1} of {ROUNDS}, {way:<12}", end="\r", flush=True)
            rounds[way].append(_measure(one, directory))
    for way in ("sampled out", "recorded"):
        pairs = list(zip(rounds[way], rounds["without"], strict=True))
        throughput = [mine.calls_a_second / other.calls_a_second for mine, other in pairs]
        processor = [mine.microseconds_a_call / other.microseconds_a_call for mine, other in pairs]
        mine, other = (statistics.median(one.microseconds_a_call for one in rounds[each]) for each in (way, "without"))
        print(
            f"{name}, {way:<12} calls {statistics.median(throughput):.3f} ({min(throughput):.2f} to"
            f" {max(throughput):.2f})   processor {statistics.median(processor):.3f} ({min(processor):.2f} to"
            f" {max(processor):.2f})   {other:.0f} -> {mine:.0f} us a call"
        )


def manager(directory: Path, collector: str, stack: ExitStack) -> None:
    """Compare managers in front of one backend that answers at once."""
    backend = free_port()
    nginx(directory, "backend", BACKEND.format(port=backend, answer=ANSWER, instance=INSTANCE))
    url = f"http://127.0.0.1:{backend}"
    stack.enter_context(running(["nginx", "-c", f"{directory}/backend.conf"], f"{url}/status", directory))

    def serve(variables: dict[str, str]) -> Served:
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "agent_manager", "--port", str(port)]
        settings = {"REGISTRATION_TTL_SECONDS": "600", **variables}
        process = stack.enter_context(running(command, f"{base}/health", directory, **settings))
        service = {"id": "bench", "serviceUrl": url, "instanceId": INSTANCE, "status": "running"}
        post(f"{base}/api/agent-services/register", service)
        return Served(f"{base}/api/agent-services/bench/execute", process)

    compare("manager", serve, collector, directory)


def adapter(directory: Path, collector: str, stack: ExitStack) -> None:
    """Compare adapters of an agent that gives its parameters back."""
    (directory / "echo_agent.py").write_text(ECHO_AGENT)

    def serve(variables: dict[str, str]) -> Served:
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "agent_adapter", "--agent", "bench", "--entry-point", "echo_agent:echo"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        settings = {"AGENT_MAX_CONCURRENCY": "64", **variables}
        return Served(f"{base}/execute", stack.enter_context(running(command, f"{base}/ready", directory, **settings)))

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
    rate = requests_per_second(one.url, directory)
    used = _processor_seconds(one.process) - before
    return Measured(rate, used / (rate * SECONDS) * 1e6)


def _processor_seconds(process: Process) -> float:
    """Give the processor time that a process has used so far, its threads' included."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
