"""A port forwarded to the manager's Service: opened when it is needed, and again when it breaks.

`kubectl port-forward` picks one pod and ends when that pod has gone and somebody tries to reach it: what follows a
manager over a rollout needs a new one.
"""

import os
import queue
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Final, cast

from agentctl.cluster.kubectl import Errors, Kubectl, failure, reading
from agentctl.cluster.service import Service, find_manager
from agentctl.up import leash

_OPEN_SECONDS: Final = 15.0
"""What a forward may take to stand: two round trips to the API server, and a pod that is about to run."""
_POD_SECONDS: Final = 10
_END_SECONDS: Final = 2.0
"""What kubectl may take to end; it has nothing to finish."""
_MOST_FAILURES: Final = 2
"""So many requests in a row that found no answer: then a forward that still stands leads nowhere."""
_LISTENING: Final = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d+) ")
_WAY: Final = "kernel" if sys.platform == "linux" else "poll"


class ForwardFailed(Exception):  # noqa: N818  # what happened
    """A forward did not come to stand; its text is why, as kubectl put it."""


class Forwarded:
    """The way to the manager of a namespace, through a forwarded port; kubectl never outlives this process."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        self._service = find_manager(kubectl)
        self._forward: _Forward | None = None
        self._url = ""
        self._failures = 0
        self._lock = threading.Lock()
        # The leash ends kubectl with the thread that started it, and the one that asks may be gone before the rest is.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="kubectl")
        self.secure = self._service.secure
        self.name = f"service/{self._service.name} in {kubectl.place}"
        self.advice = f"{kubectl.typed('get', 'pods')} tells how its pods are"

    def open(self) -> str:
        """Give the forwarded port's URL; raises ManagerAway where none can be had, CommandFailed where it may not."""
        with self._lock:
            if self._forward is None or self._forward.ended or self._failures >= _MOST_FAILURES:
                self._end()
                self._forward, self._failures = self._starter.submit(_Forward, self._kubectl, self._service).result(), 0
                self._url = self._first_url(self._forward)
            return self._url

    def answered(self) -> None:
        """Note that it leads there."""
        self._failures = 0

    def broke(self) -> None:
        """Note that a request got no whole answer: once the manager did that, twice the forward."""
        self._failures += 1

    def close(self) -> None:
        """End kubectl."""
        with self._lock:
            self._end()
        self._starter.shutdown()

    def _first_url(self, forward: "_Forward") -> str:
        try:
            return forward.url()
        except ForwardFailed as error:
            self._end()
            raise failure(f"cannot reach the manager at {self.name}", str(error)) from error

    def _end(self) -> None:
        if self._forward is not None:
            self._forward.end()
        self._forward = None


class _Forward:
    """One `kubectl port-forward`."""

    def __init__(self, kubectl: Kubectl, service: Service) -> None:
        self._process = _start(
            kubectl.command(
                "port-forward",
                "--address=127.0.0.1",
                f"--pod-running-timeout={_POD_SECONDS}s",
                f"service/{service.name}",
                f":{service.port}",
            )
        )
        # the one name of this end that a certificate can have
        self._place = "https://localhost" if service.secure else "http://127.0.0.1"
        self._ports: queue.Queue[int | None] = queue.Queue()
        self._errors = Errors(cast("IO[bytes]", self._process.stderr))
        self._output = reading(cast("IO[bytes]", self._process.stdout), self._take)
        threading.Thread(target=self._tell_end, daemon=True).start()

    def url(self) -> str:
        """Give the address that kubectl says it took; raises ForwardFailed where it took none in time."""
        try:
            port = self._ports.get(timeout=_OPEN_SECONDS)
        except queue.Empty:
            raise ForwardFailed(f"kubectl opened no port within {_OPEN_SECONDS:g} s") from None
        if port is None:
            raise ForwardFailed(self._errors.last())
        return f"{self._place}:{port}"

    @property
    def ended(self) -> bool:
        """Whether kubectl gave up."""
        return self._process.poll() is not None

    def end(self) -> None:
        """End kubectl."""
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in (self._output, self._errors.reader):
            reader.join(_END_SECONDS)

    def _take(self, line: bytes) -> None:
        if found := _LISTENING.match(line):
            self._ports.put(int(found[1]))

    def _tell_end(self) -> None:
        for reader in (self._output, self._errors.reader):
            reader.join()
        self._ports.put(None)


def _start(command: list[str]) -> "subprocess.Popen[bytes]":
    """Start kubectl on a leash, in a session of its own: it goes when we do, and Ctrl-C is for us to hear first."""
    leashed = [sys.executable, "-I", "-S", str(Path(leash.__file__)), str(os.getpid()), _WAY]
    return subprocess.Popen(  # noqa: S603  # a list, and the user's own kubectl
        [*leashed, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
