"""What metrics cost: `python -m benchmarks.metrics [recording] [page]`.

- recording: calls through the manager, and to the adapter, each beside the same service whose recorder does nothing;
  in turn, as ratios of calls and of processor time a call. Metrics may cost 3 % of throughput. Linux only.
- page: the manager's `/metrics` with 1,000 agents of two instances, whose pages all change between two scrapes:
  processor time of a scrape and of the round that fetches them, and how long the event loop is held. Linux only.

Needs nginx and wrk (Debian: apt-get install nginx-light wrk). Traffic stays on 127.0.0.0/8.
"""

import asyncio
import contextlib
import gc
import logging
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import structlog
from agent_contract.serving import new_event_loop
from agent_contract.wire import Registration
from agent_manager.agent_client import Origin
from agent_manager.composition import Parts
from agent_manager.config import CommandLine, load
from agent_manager.credentials import Credentials
from agent_manager.manager import Manager
from agent_manager.metrics import Form, negotiated

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

AGENTS = 1000
INSTANCES = 2
SCRAPES = 8
ROUNDS = 9
OPEN_METRICS = "application/openmetrics-text;version=1.0.0"
SILENT = """
import runpy, sys
{patch}
sys.argv = [{module!r}, *sys.argv[1:]]
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""
"""Runs a service whose recorder does nothing."""
SILENT_MANAGER = """
from agent_manager.metrics import Metrics
Metrics.forwarded = Metrics.retried = lambda *_: None
"""
SILENT_ADAPTER = """
from agent_adapter.metrics import Metrics
Metrics.ended = Metrics.refused = lambda *_: None
"""
FLEET = """
server {{ {listen}
  location = /status {{ return 200 '{{"status":"running","instanceId":"i-$server_addr"}}'; }}
  location = /info {{ return 200 '{{"id":"bench","instanceId":"i-$server_addr"}}'; }}
  location = /metrics {{ default_type "application/openmetrics-text; version=1.0.0; charset=utf-8";
    root {dir}; try_files /page.txt =404; sub_filter_types *; sub_filter '@' $msec; sub_filter_once off; }} }}
"""


class Served(NamedTuple):
    """A service: where its calls go, and its process."""

    url: str
    pid: int


class Called(NamedTuple):
    """What one round of calls came to."""

    calls_a_second: float
    microseconds_a_call: float


def recording(directory: Path) -> None:
    """Compare both services with themselves when nothing is recorded."""
    with contextlib.ExitStack() as stack:
        _compare("manager", _managers(directory, stack), directory)
    with contextlib.ExitStack() as stack:
        _compare("adapter", _adapters(directory, stack), directory)


def _compare(name: str, served: list[Served], directory: Path) -> None:
    """Call the recording one and the silent one in turn, and print what recording costs."""
    rounds: list[tuple[Called, Called]] = []
    for number in range(ROUNDS):
        print(f"  {name}: round {number + 1} of {ROUNDS}", end="\r", flush=True)
        rounds.append((_called(served[0], directory), _called(served[1], directory)))
    calls = [ours.calls_a_second / silent.calls_a_second for ours, silent in rounds]
    processor = [ours.microseconds_a_call / silent.microseconds_a_call for ours, silent in rounds]
    ours, silent = (statistics.median(each[place].microseconds_a_call for each in rounds) for place in (0, 1))
    print(
        f"{name}, recording   calls {statistics.median(calls):.3f} ({min(calls):.2f} to {max(calls):.2f})"
        f"   processor {statistics.median(processor):.3f} ({min(processor):.2f} to {max(processor):.2f})"
        f"   {silent:.1f} -> {ours:.1f} us a call"
    )


def _called(served: Served, directory: Path) -> Called:
    """Give one round: on a busy machine what the process used says more than what came through."""
    before, began = _processor_seconds(served.pid), time.perf_counter()
    calls_a_second = requests_per_second(served.url, directory)
    used, took = _processor_seconds(served.pid) - before, time.perf_counter() - began
    return Called(calls_a_second, used / (calls_a_second * took) * 1e6)


def _processor_seconds(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _managers(directory: Path, stack: contextlib.ExitStack) -> list[Served]:
    backend = free_port()
    nginx(directory, "backend", BACKEND.format(port=backend, answer=ANSWER, instance=INSTANCE))
    url = f"http://127.0.0.1:{backend}"
    stack.enter_context(running(["nginx", "-c", f"{directory}/backend.conf"], f"{url}/status", directory))
    served = []
    for program in (["-m", "agent_manager"], _silent("agent_manager", SILENT_MANAGER)):
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        command = [sys.executable, *program, "--port", str(port)]
        process = stack.enter_context(running(command, f"{base}/health", directory, REGISTRATION_TTL_SECONDS="600"))
        service = {"id": "bench", "serviceUrl": url, "instanceId": INSTANCE, "status": "running"}
        post(f"{base}/api/agent-services/register", service)
        served.append(Served(f"{base}/api/agent-services/bench/execute", process.pid))
    return served


def _adapters(directory: Path, stack: contextlib.ExitStack) -> list[Served]:
    (directory / "echo_agent.py").write_text(ECHO_AGENT)
    served = []
    for program in (["-m", "agent_adapter"], _silent("agent_adapter", SILENT_ADAPTER)):
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        options = ["--agent", "bench", "--entry-point", "echo_agent:echo", "--host", "127.0.0.1", "--port", str(port)]
        command = [sys.executable, *program, *options]
        process = stack.enter_context(running(command, f"{base}/ready", directory, AGENT_MAX_CONCURRENCY="64"))
        served.append(Served(f"{base}/execute", process.pid))
    return served


def _silent(module: str, patch: str) -> list[str]:
    return ["-c", SILENT.format(module=module, patch=patch)]


def page(directory: Path) -> None:
    """Measure scrapes of a manager that knows 1,000 agents of two instances, in this process."""
    backend = free_port()
    addresses = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(AGENTS * INSTANCES)]
    (directory / "page.txt").write_text(_adapters_page(directory))
    directory.chmod(0o755)  # nginx reads it as nobody
    listen = " ".join(f"listen {address}:{backend};" for address in addresses)
    nginx(directory, "fleet", FLEET.format(listen=listen, dir=directory), connections=8192)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with (
        contextlib.chdir(directory),
        running(["nginx", "-c", f"{directory}/fleet.conf"], f"http://{addresses[0]}:{backend}/status", directory),
        asyncio.Runner(loop_factory=new_event_loop) as runner,
    ):
        runner.run(_measure([Origin(address, backend) for address in addresses]))


def _adapters_page(directory: Path) -> str:
    """Give a real adapter's page, with sums that are others each time it is fetched."""
    (directory / "echo_agent.py").write_text(ECHO_AGENT)
    port = free_port()
    options = ["--agent", "bench", "--entry-point", "echo_agent:echo", "--host", "127.0.0.1", "--port", str(port)]
    with running([sys.executable, "-m", "agent_adapter", *options], f"http://127.0.0.1:{port}/ready", directory):
        post(f"http://127.0.0.1:{port}/execute", {"parameters": {}})
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/metrics", headers={"accept": OPEN_METRICS}
        )  # loopback http
        with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310  # loopback
            text: str = answer.read().decode()
    return "\n".join(f"{line.rpartition(' ')[0]} @" if "_seconds_sum" in line else line for line in text.split("\n"))


@dataclass
class Turns:
    """What a while took: seconds, processor time, and the longest time that the event loop was held."""

    seconds: float = 0.0
    cpu: float = 0.0
    held: float = 0.0


async def _measure(origins: list[Origin]) -> None:
    parts = Parts(load(CommandLine(), {}), Credentials({}, time.monotonic))
    manager = parts.manager
    gc.freeze()  # as the manager does before it serves
    for number, origin in enumerate(origins):
        told = Registration(f"agent-{number // INSTANCES:04}", str(origin), f"i-{origin.host}", status="running")
        manager.registry.register(told, origin)
    async with parts.running():
        before = _resident_bytes()
        gc.disable()  # a collection takes as long as the fleet is large, scraped or not: that is not measured here
        _print_turns("nothing asked for", [await _idle() for _ in range(2)])
        for name, encoding in (("gzip", "gzip"), ("not compressed", "identity")):
            form = negotiated(OPEN_METRICS, encoding)
            _print_turns("a round and the scrape that begins it", [await _round(manager, form) for _ in range(SCRAPES)])
            scrapes = [await _scrape(manager, form) for _ in range(SCRAPES)]
            for number in range(AGENTS):
                manager.metrics.forwarded(f"agent-{number:04}", 200, 0.2)
            after_calls = await _scrape(manager, form)
            cpu, calls = statistics.median(one[0] for one in scrapes) * 1e3, after_calls[0] * 1e3
            print(
                f"a scrape, {name}: {scrapes[0][1] / 1e6:.2f} MB, {cpu:.1f} ms of CPU, {calls:.1f} after calls to all"
            )
        print(f"memory: {(_resident_bytes() - before) / 1e6:.0f} MB more than without pages")


async def _scrape(manager: Manager, form: Form) -> tuple[float, int]:
    """Give the processor time of a page and its size."""
    began, size = time.process_time(), 0
    async for piece in manager.metrics.page(form, carried=True):
        size += len(piece)
    return time.process_time() - began, size


async def _round(manager: Manager, form: Form) -> Turns:
    """Measure a round with the scrape that begins it."""
    async with _watched() as turns:
        over = asyncio.ensure_future(manager.scrapes.over())
        await manager.scrapes.ask()
        await _scrape(manager, form)
        await over
    await asyncio.sleep(1)  # rounds begin a second apart
    return turns


async def _idle() -> Turns:
    """Measure what the manager does anyway: it probes, sweeps and samples."""
    async with _watched() as turns:
        await asyncio.sleep(5)  # what is measured
    return turns


@contextlib.asynccontextmanager
async def _watched() -> AsyncIterator[Turns]:
    turns, began, cpu = Turns(), time.perf_counter(), time.process_time()
    watching = asyncio.create_task(_watch(turns))
    try:
        yield turns
    finally:
        watching.cancel()
        turns.seconds, turns.cpu = time.perf_counter() - began, time.process_time() - cpu


def _print_turns(name: str, found: list[Turns]) -> None:
    seconds, cpu, held = (
        statistics.median(getattr(one, part) for one in found[1:]) for part in ("seconds", "cpu", "held")
    )
    share = cpu / seconds * 100
    print(f"{name}: {share:.0f} % of a core for {seconds:.1f} s, the loop held for {held * 1e3:.1f} ms at most")


async def _watch(turns: Turns) -> None:
    """Note how much processor time passes between two turns: what others do, and not who else has the processor."""
    while True:
        began = time.thread_time()
        await asyncio.sleep(0.001)
        turns.held = max(turns.held, time.thread_time() - began)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> None:
    """Run what was named, or all."""
    known: dict[str, Callable[[Path], None]] = {"recording": recording, "page": page}
    with tempfile.TemporaryDirectory() as directory:
        for name in sys.argv[1:] or known:
            known[name](Path(directory))


if __name__ == "__main__":
    main()
