"""A Kubernetes as a test uses it: kubectl and helm on one namespace, and the manager through a port-forward."""

import asyncio
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Self

from tests.system.manager_client import ManagerClient

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "deploy" / "helm" / "agent-orchestration"
EXAMPLES = CHART / "ci" / "examples-values.yaml"
RELEASE = "agents"
IMAGES = ("agent-manager:dev", "agent-adapter:dev", "agent-examples:dev")
MANAGER = "app.kubernetes.io/component=manager"
AGENT = "agent-orchestration.dev/agent"
LOADER = "CLUSTER_LOAD"
"""The variable with the command that copies images to the nodes, where the cluster is not one of kind."""
FAULTS = "CLUSTER_FAULTS"
"""The variable with the command that takes `kill PART` and `start PART` of the cluster."""
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
COMMAND_SECONDS = 300


def run(*command: str, check: bool = True, text: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; one that fails fails the test with all that it said."""
    ran = subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=COMMAND_SECONDS, input=text
    )
    assert not check or ran.returncode == 0, f"{shlex.join(command)}: {ran.stdout}{ran.stderr}"
    return ran


def load_images() -> None:
    """Copy the project's images to the nodes."""
    own = os.environ.get(LOADER)
    context = run("kubectl", "config", "current-context").stdout.strip()
    if own:
        run(*shlex.split(own), *IMAGES)
    else:
        assert context.startswith("kind-"), f"{context} is no cluster of kind: say in {LOADER} how images are loaded"
        run("kind", "load", "docker-image", *IMAGES, "--name", context.removeprefix("kind-"))


class Namespace:
    """A namespace of one module of stories, with the Pod Security standard `restricted` enforced."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> Self:
        """Make it."""
        run("kubectl", "create", "namespace", self.name)
        run("kubectl", "label", "namespace", self.name, RESTRICTED)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it with all that is in it; what is left of a release in other namespaces is not ours."""
        run("kubectl", "delete", "namespace", self.name, "--wait=false")

    def kubectl(self, *arguments: str, check: bool = True, text: str | None = None) -> str:
        """Run kubectl on this namespace; gives what it printed."""
        ran = run("kubectl", "--namespace", self.name, *arguments, check=check, text=text)
        return ran.stdout if check else ran.stdout + ran.stderr

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects."""
        self.kubectl(
            "apply", "--filename", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        )

    def get(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """Give the objects of a kind."""
        listed = self.kubectl("get", kind, "--selector", selector, "--output", "json")
        items: list[dict[str, Any]] = json.loads(listed)["items"]
        return items

    def pods(self, agent: str) -> list[dict[str, Any]]:
        """Give the pods of an agent that are not being deleted."""
        return self._staying(f"{AGENT}={agent}")

    def managers(self) -> list[dict[str, Any]]:
        """Give the pods of managers that are not being deleted."""
        return self._staying(MANAGER)

    def _staying(self, selector: str) -> list[dict[str, Any]]:
        return [pod for pod in self.get("pods", selector) if "deletionTimestamp" not in pod["metadata"]]

    def helm(self, verb: str, *arguments: str) -> str:
        """Run helm on the release of this namespace; gives what it printed."""
        return run("helm", *verb.split(), RELEASE, *arguments, "--namespace", self.name).stdout

    def install(self, *arguments: str, values: Path = EXAMPLES) -> str:
        """Install the chart, or upgrade it, and wait until everything is ready; gives the notes."""
        wait = ("--wait", "--timeout", "180s")
        try:
            return self.helm("upgrade", str(CHART), "--install", "--values", str(values), *wait, *arguments)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.explain()}") from error

    def manager_service(self) -> str:
        """Give the name of the Service that clients of the manager use."""
        (service,) = self.get("services", MANAGER)
        return str(service["metadata"]["name"])

    def explain(self) -> str:
        """Say what a person would look at first."""
        pods = self.kubectl("get", "pods", "--output", "wide", check=False)
        logs = self.kubectl("logs", "--selector", MANAGER, "--tail", "15", "--prefix", check=False)
        events = self.kubectl("get", "events", "--sort-by", ".lastTimestamp", check=False)
        return f"{pods}\n{logs}\n{events[-4000:]}"

    @contextlib.contextmanager
    def port_forward(self, target: str, port: str = "http") -> Iterator[int]:
        """Give a port of this machine that leads to a Service or pod; it breaks when its pod goes."""
        with self._serving("port-forward", target, f":{port}") as local:
            yield local

    @contextlib.contextmanager
    def api_server(self) -> Iterator[str]:
        """Give the URL of the API server's objects of this namespace, for requests without kubectl's own start."""
        with self._serving("proxy", "--port", "0") as port:
            yield f"http://127.0.0.1:{port}/api/v1/namespaces/{self.name}"

    @contextlib.contextmanager
    def _serving(self, *arguments: str) -> Iterator[int]:
        """Give the port of this machine at which kubectl serves, until the block ends.

        It says a line for each connection, and would stand still with 64 KiB of them in a pipe that nobody reads.
        """
        command = ["kubectl", "--namespace", self.name, *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as forward:
            try:
                assert forward.stdout is not None
                said = forward.stdout.readline()
                found = re.search(r"127\.0\.0\.1:(\d+)", said)
                assert found, said + (forward.stdout.read() if forward.poll() is not None else "")
                threading.Thread(target=deque, args=(forward.stdout, 0)).start()
                yield int(found[1])
            finally:
                forward.send_signal(signal.SIGTERM)

    @contextlib.asynccontextmanager
    async def manager(self, target: str | None = None) -> AsyncIterator[ManagerClient]:
        """Give a client of the manager."""
        with self.port_forward(target or f"service/{self.manager_service()}") as port:
            async with ManagerClient(port, self.explain) as client:
                yield client


async def in_thread(call: Any, *arguments: Any, **named: Any) -> Any:
    """Run what blocks beside the calls of a test."""
    return await asyncio.to_thread(call, *arguments, **named)
