"""A kubectl for machines without a cluster: it says what a test told it to, and really forwards a port.

`as_kubectl` puts it into a directory for PATH. It reads `cluster.json` beside itself, and writes each of its command
lines into `calls`.
"""

import contextlib
import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(os.environ.get("FAKE_CLUSTER", "."))


class Cluster:
    """The directory that has a kubectl, and what this kubectl is told."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        program = directory / "kubectl"
        program.write_text(f"#!{sys.executable} -IS\n{Path(__file__).read_text()}\nmain()\n")
        program.chmod(0o755)
        self.told: dict[str, Any] = {"services": [], "context": "test", "namespace": "agents", "pod": None}
        self.tell()

    @property
    def variables(self) -> dict[str, str]:
        """Give the environment in which it is found."""
        return {"PATH": f"{self.directory}:{os.environ['PATH']}", "FAKE_CLUSTER": str(self.directory)}

    def tell(self, **members: Any) -> None:
        """Say how the cluster is from now on."""
        self.told.update(members)
        new = self.directory / "new.json"
        new.write_text(json.dumps(self.told))
        new.rename(self.directory / "cluster.json")

    def calls(self) -> list[str]:
        """Give the command lines so far."""
        calls = self.directory / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    def forwards(self) -> list[int]:
        """Give the process ids of the port-forwards that run."""
        begun = [int(line.split()[0]) for line in self.calls() if " port-forward " in line]
        return [pid for pid in begun if _runs(pid)]


def service(name: str = "agent-manager", **spec: Any) -> dict[str, Any]:
    """Give a Service as the API shows it."""
    ports = [{"name": "http", "port": 80}]
    return {"metadata": {"name": name}, "spec": {"clusterIP": "10.0.0.1", "ports": ports, **spec}}


def _runs(pid: int) -> bool:
    try:
        return "kubectl" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def main() -> None:
    """Be kubectl."""
    arguments = sys.argv[1:]
    with (HERE / "calls").open("a") as calls:
        calls.write(f"{os.getpid()} {' '.join(arguments)}\n")
    told = json.loads((HERE / "cluster.json").read_text())
    verb = next(word for word in arguments if not word.startswith("-"))
    if "login" in told and verb == "get":
        sys.stderr.write(told["login"] + "\n")
        sys.stderr.flush()
        time.sleep(told["loginSeconds"])
    if f"{verb}Error" in told:
        sys.exit(told[f"{verb}Error"])
    {"config": _config, "get": _get, "port-forward": _forward}[verb](told)


def _config(told: dict[str, Any]) -> None:
    context = {"name": told["context"], "context": {"namespace": told["namespace"]}}
    json.dump({"current-context": told["context"], "contexts": [context]}, sys.stdout)


def _get(told: dict[str, Any]) -> None:
    json.dump({"kind": "List", "items": told["services"]}, sys.stdout)


def _forward(told: dict[str, Any]) -> None:
    """Forward until the pod has gone and somebody tries to reach it, as kubectl does."""
    if told.get("silent"):
        time.sleep(60)
    if told["pod"] is None:
        sys.exit("error: unable to forward port because pod is not running. Current status=Pending")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(f"Forwarding from 127.0.0.1:{listening.getsockname()[1]} -> 8080\n")
        sys.stdout.flush()
        while True:
            client, _ = listening.accept()
            try:
                pod = socket.create_connection(("127.0.0.1", told["pod"]))
            except OSError:
                sys.exit("E0101 00:00:00.000000   1 portforward.go:424] no such pod\nerror: lost connection to pod")
            for pair in ((client, pod), (pod, client)):
                threading.Thread(target=_copy, args=pair, daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
