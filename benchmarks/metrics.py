"""What metrics cost: `python -m benchmarks.metrics [recording] [page]`.

- recording: calls through the manager, and to the adapter, each beside the same service whose recorder does nothing;
  in turn, as ratios. Metrics may cost 3 % of throughput.
- page: the manager's `/metrics` with 1,000 agents of two instances, all fetched and all changed between two scrapes:
  processor time and duration of a scrape, its size, and how long /health waits meanwhile. Linux only.

Needs nginx and wrk (Debian: apt-get install nginx-light wrk). Traffic stays on 127.0.0.0/8.
"""

import contextlib
import http.client
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.hot_paths import ANSWER, BACKEND, ECHO_AGENT, INSTANCE, compare, free_port, nginx, post, running

AGENTS = 1000
INSTANCES = 2
SCRAPES = 8
SCRAPE_PAUSE_SECONDS = 4.0
"""Long enough for a round of all instances, which begins when a page is asked for."""
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


def recording(directory: Path) -> None:
    """Compare both services with themselves when nothing is recorded."""
    _manager(directory)
    _adapter(directory)


def _manager(directory: Path) -> None:
    backend, ours, silent = free_port(), free_port(), free_port()
    nginx(directory, "backend", BACKEND.format(port=backend, answer=ANSWER, instance=INSTANCE))
    with contextlib.ExitStack() as stack:
        start = stack.enter_context
        start(running(["nginx", "-c", f"{directory}/backend.conf"], f"http://127.0.0.1:{backend}/status", directory))
        for port, program in ((ours, ["-m", "agent_manager"]), (silent, _silent("agent_manager", SILENT_MANAGER))):
            command = [sys.executable, *program, "--port", str(port)]
            start(running(command, f"http://127.0.0.1:{port}/health", directory, REGISTRATION_TTL_SECONDS="600"))
            service = {"id": "bench", "serviceUrl": f"http://127.0.0.1:{backend}", "instanceId": INSTANCE}
            post(f"http://127.0.0.1:{port}/api/agent-services/register", {**service, "status": "running"})
        base = "http://127.0.0.1:{}/api/agent-services/bench/execute"
        compare("manager / not recording", base.format(ours), base.format(silent), directory)


def _adapter(directory: Path) -> None:
    (directory / "echo_agent.py").write_text(ECHO_AGENT)
    ours, silent = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        for port, program in ((ours, ["-m", "agent_adapter"]), (silent, _silent("agent_adapter", SILENT_ADAPTER))):
            options = ["--agent", "bench", "--entry-point", "echo_agent:echo", "--host", "127.0.0.1"]
            command = [sys.executable, *program, *options, "--port", str(port)]
            url = f"http://127.0.0.1:{port}/ready"
            stack.enter_context(running(command, url, directory, AGENT_MAX_CONCURRENCY="64"))
        base = "http://127.0.0.1:{}/execute"
        compare("adapter / not recording", base.format(ours), base.format(silent), directory)


def _silent(module: str, patch: str) -> list[str]:
    return ["-c", SILENT.format(module=module, patch=patch)]


def page(directory: Path) -> None:
    """Measure scrapes of a manager that knows 1,000 agents of two instances."""
    addresses = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(AGENTS * INSTANCES)]
    backend, manager = free_port(), free_port()
    (directory / "page.txt").write_text(_adapters_page(directory))
    directory.chmod(0o755)  # nginx reads it as nobody
    listen = " ".join(f"listen {address}:{backend};" for address in addresses)
    nginx(directory, "fleet", FLEET.format(listen=listen, dir=directory), connections=8192)
    (directory / "fleet.json").write_text('{"runtime": {"allowedServiceHosts": ["127.1.0.0/16"]}, "agents": []}')
    with (
        running(["nginx", "-c", f"{directory}/fleet.conf"], f"http://{addresses[0]}:{backend}/status", directory),
        running(
            [sys.executable, "-m", "agent_manager", "--port", str(manager)],
            f"http://127.0.0.1:{manager}/health",
            directory,
            REGISTRATION_TTL_SECONDS="600",
            AGENTS_CONFIG=f"{directory}/fleet.json",
        ) as process,
    ):
        for number, address in enumerate(addresses):
            service = {"id": f"agent-{number // INSTANCES:04}", "serviceUrl": f"http://{address}:{backend}"}
            body = {**service, "instanceId": f"i-{address}", "status": "running"}
            post(f"http://127.0.0.1:{manager}/api/agent-services/register", body)
        for name, encoding in (("gzip", "gzip"), ("not compressed", "identity")):
            _report(name, [_scrape(process.pid, manager, encoding) for _ in range(SCRAPES)][2:])


def _adapters_page(directory: Path) -> str:
    """Give a real adapter's page, with numbers that are others each time it is fetched."""
    (directory / "echo_agent.py").write_text(ECHO_AGENT)
    port = free_port()
    options = ["--agent", "bench", "--entry-point", "echo_agent:echo", "--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "agent_adapter", *options]
    with running(command, f"http://127.0.0.1:{port}/ready", directory):
        post(f"http://127.0.0.1:{port}/execute", {"parameters": {}})
        status, text = _get(port, "/metrics", accept=OPEN_METRICS)
    assert status == 200
    lines = [f"{line.rpartition(' ')[0]} @" if "_seconds_sum" in line else line for line in text.decode().split("\n")]
    return "\n".join(lines)


class _Scrape:
    def __init__(self, cpu: float, seconds: float, size: int, waits: list[float]) -> None:
        self.cpu, self.seconds, self.size, self.waits = cpu, seconds, size, waits


def _scrape(pid: int, port: int, encoding: str) -> _Scrape:
    with _watching(port) as waits:
        before, began = _cpu_seconds(pid), time.perf_counter()
        status, body = _get(port, "/metrics", accept=OPEN_METRICS, accept_encoding=encoding)
        seconds, cpu = time.perf_counter() - began, _cpu_seconds(pid) - before
        assert status == 200
        during = list(waits)
        time.sleep(SCRAPE_PAUSE_SECONDS)
    return _Scrape(cpu, seconds, len(body), [max(during, default=0.0), max(waits)])


def _report(name: str, scrapes: list[_Scrape]) -> None:
    cpu = statistics.median(one.cpu for one in scrapes) * 1e3
    took = statistics.median(one.seconds for one in scrapes) * 1e3
    during, later = (max(one.waits[place] for one in scrapes) * 1e3 for place in (0, 1))
    print(
        f"{name}: {scrapes[0].size / 1e6:.1f} MB, {took:.0f} ms, {cpu:.1f} ms of CPU; "
        f"/health waited {during:.1f} ms during a scrape, {later:.1f} ms while pages are fetched"
    )


@contextlib.contextmanager
def _watching(port: int) -> Iterator[list[float]]:
    """Ask /health over and over; gives how long each answer took, in seconds."""
    waits: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        while not ended.wait(0.001):
            began = time.perf_counter()
            connection.request("GET", "/health")
            connection.getresponse().read()
            waits.append(time.perf_counter() - began)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield waits
    finally:
        ended.set()
        watcher.join()


def _cpu_seconds(pid: int) -> float:
    """Give the processor time that all threads of a process had."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _get(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read()


def main() -> None:
    """Run what was named, or all."""
    known: dict[str, Callable[[Path], None]] = {"recording": recording, "page": page}
    with tempfile.TemporaryDirectory() as directory:
        for name in sys.argv[1:] or known:
            known[name](Path(directory))


if __name__ == "__main__":
    main()
