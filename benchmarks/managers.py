"""A thousand agents and three managers: what heartbeats cost, and how soon a manager that comes back knows them all.

Three real managers at 127.0.0.1, .2 and .3, behind one name; the adapters' real conversations with them (`Managers`,
`ManagerLink`, an HTTP client each), many in two processes, on real sockets. Each instance answers its managers' probes.
Takes about 80 s: `python benchmarks/managers.py [AGENTS]`. Traffic stays on this machine.
"""

import asyncio
import json
import logging
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import structlog
from agent_adapter import heartbeat
from agent_adapter.heartbeat import Managers
from agent_adapter.http_client import BEATS_IDLE_SECONDS, Answer, CallFailed, HttpClient
from agent_contract.identity import new_id
from agent_contract.serving import new_event_loop
from agent_contract.wire import Heartbeat, Orders, Registration, Totals

HOSTS: Final = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
WORKERS: Final = 2
STEADY_SECONDS: Final = 30
PATIENCE_SECONDS: Final = 30.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Timed(HttpClient):
    """The adapter's client, which notes how long each beat took."""

    def __init__(self, seconds: list[float], failures: list[str]) -> None:
        super().__init__(connections=8, idle_seconds=BEATS_IDLE_SECONDS)
        self._seconds, self._failures = seconds, failures

    async def request(self, method: str, url: str, **how: Any) -> Answer:  # noqa: ANN401  # the parent's
        """Give the answer, as the parent does."""
        began = time.perf_counter()
        try:
            answer = await super().request(method, url, **how)
        except CallFailed as error:
            self._failures.append(str(error))
            raise
        if url.endswith("/heartbeat") and answer.status == 200:
            self._seconds.append(time.perf_counter() - began)
        return answer


class Idle:
    """An instance that runs and has nothing to do; it answers its managers' probes."""

    def __init__(self, number: int) -> None:
        self.id = f"agent-{number:04}"
        self.instance_id = new_id()
        self.port = 0

    async def listen(self) -> None:
        """Answer `GET /status` at a port of its own."""
        body = json.dumps({"status": "running", "instanceId": self.instance_id, "maxConcurrency": 1}).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        server = await asyncio.get_running_loop().create_server(lambda: _Answering(head.encode() + body), HOSTS[0], 0)
        self.port = server.sockets[0].getsockname()[1]

    def registration(self, manager: tuple[str, int]) -> Registration:
        """Give the registration."""
        del manager
        metadata = {"version": "1.0.0", "adapterVersion": "0.1.0", "maxConcurrency": 1}
        url = f"http://{HOSTS[0]}:{self.port}"
        return Registration(self.id, url, self.instance_id, metadata=metadata, status="running")

    def heartbeat(self) -> Heartbeat:
        """Give the beat."""
        return Heartbeat(self.id, self.instance_id, "running", totals=Totals())

    def ordered(self, orders: Orders) -> None:
        """Take what the managers order."""

    def stale(self) -> None:
        """Be told that another life has this one's place: never here."""
        raise AssertionError("no other process has this one's address")


class _Answering(asyncio.Protocol):
    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert data.endswith(b"\r\n\r\n")
        self._transport.write(self._answer)  # type: ignore[attr-defined]  # it is a transport for writing


def work(orders: Connection, numbers: range, port: int) -> None:
    """Be the adapters with these numbers, until told to end; each order is answered with what was noted since."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    heartbeat.resolve = lambda url: [(host, port) for host in HOSTS]  # type: ignore[attr-defined]  # noqa: ARG005  # no name service here
    asyncio.Runner(loop_factory=new_event_loop).run(_work(orders, numbers))


async def _work(orders: Connection, numbers: range) -> None:
    seconds: list[float] = []
    failures: list[str] = []
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        tasks = []
        for number in numbers:
            instance = Idle(number)
            await instance.listen()
            client = Timed(seconds, failures)
            managers = Managers("http://managers.test", client, instance, token="", interval=5.0)
            tasks.append(group.create_task(managers.run()))
        orders.send("begun")
        while await loop.run_in_executor(None, orders.recv) != "end":
            orders.send((list(seconds), list(failures)))
            seconds.clear()
            failures.clear()
        for task in tasks:
            task.cancel()


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
        links = (path.readlink() for path in Path(f"/proc/{self.process.pid}/fd").iterdir())
        return sum(link.name.startswith("socket:") for link in links)


def until(holds: Callable[[], object], patience_seconds: float = PATIENCE_SECONDS) -> float:
    """Give after how many seconds something held; stops the run where it never did."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > patience_seconds:
            sys.exit(f"not within {patience_seconds:g} s")
        time.sleep(0.05)
    return time.monotonic() - began


def lists(manager: Manager, count: int) -> bool:
    """Tell whether a manager lists so many."""
    return manager.listed() == count


def time_waits() -> int:
    """Give how many closed connections this machine still remembers."""
    return sum(line.split()[3] == "06" for line in Path("/proc/net/tcp").read_text().splitlines()[1:])


def free_port() -> int:
    """Give a port that is free now."""
    with socket.socket() as probe:
        probe.bind((HOSTS[0], 0))
        return int(probe.getsockname()[1])


@contextmanager
def adapters(count: int, port: int) -> Iterator[list[Connection]]:
    """Run the adapters in two processes until the block ends."""
    context = multiprocessing.get_context("spawn")
    ends, processes = [], []
    for number in range(WORKERS):
        mine, theirs = context.Pipe()
        share = range(count * number // WORKERS, count * (number + 1) // WORKERS)
        process = context.Process(target=work, args=(theirs, share, port))
        process.start()
        ends.append(mine)
        processes.append(process)
    try:
        yield ends
    finally:
        for end, process in zip(ends, processes, strict=True):
            end.send("end")
            process.join(10)
            process.kill()


def noted(ends: list[Connection]) -> tuple[list[float], list[str]]:
    """Give the beats' seconds and the failures since this was asked last."""
    seconds, failures = [], []
    for end in ends:
        end.send("report")
        more_seconds, more_failures = end.recv()
        seconds += more_seconds
        failures += more_failures
    return sorted(seconds), failures


def steady(managers: list[Manager], ends: list[Connection]) -> None:
    """Measure a while in which nothing happens but beats and probes."""
    noted(ends)
    before = [manager.cpu_seconds() for manager in managers]
    began = time.monotonic()
    time.sleep(STEADY_SECONDS)
    took = time.monotonic() - began
    seconds, failures = noted(ends)
    print(f"beats: {len(seconds) / took:.0f}/s in all, {len(failures)} failed {set(failures) or ''}")
    at = {name: seconds[int(len(seconds) * share)] * 1000 for name, share in (("p50", 0.5), ("p99", 0.99))}
    print(f"a beat: p50 {at['p50']:.1f} ms, p99 {at['p99']:.1f} ms, longest {seconds[-1] * 1000:.1f} ms")
    for manager, cpu in zip(managers, before, strict=True):
        share = (manager.cpu_seconds() - cpu) / took
        print(
            f"manager {manager.host}: {share:.1%} of a core, {manager.megabytes():.0f} MB,"
            f" {manager.sockets()} sockets, lists {manager.listed()}"
        )
    print(f"TIME_WAIT on this machine: {time_waits()}")


def main() -> None:
    """Measure, and print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as directory:
        managers = [Manager(host, free_port(), Path(directory)) for host in HOSTS[:1]]
        managers += [Manager(host, managers[0].port, Path(directory)) for host in HOSTS[1:]]
        for manager in managers:
            manager.start()
        try:
            measure(managers, count)
        finally:
            for manager in managers:
                manager.stop()


def measure(managers: list[Manager], count: int) -> None:
    """Measure the arrival of all, a steady while, and a manager's restart."""
    idle = statistics.mean(manager.megabytes() for manager in managers)
    print(f"{count} agents, {len(managers)} managers of {idle:.0f} MB each with none")
    with adapters(count, managers[0].port) as ends:
        for end in ends:
            end.recv()
        took = max(until(partial(lists, manager, count)) for manager in managers)
        print(f"all at once: each manager lists {count} after {took:.1f} s")
        time.sleep(10)  # the storm is over, and each beats in its own time
        steady(managers, ends)
        noted(ends)
        restarted = managers[1]
        restarted.stop()
        restarted.start()
        took = until(partial(lists, restarted, count))
        _, failures = noted(ends)
        others = [manager.listed() for manager in managers if manager is not restarted]
        print(f"a manager's restart: it lists {count} again {took:.1f} s after it listens; the others list {others}")
        elsewhere = [each for each in failures if restarted.host not in each]
        print(f"  attempts that failed meanwhile: {len(failures)}, of them at the other managers {len(elsewhere)}")


if __name__ == "__main__":
    main()
