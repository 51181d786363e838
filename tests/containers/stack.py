"""A compose project of one test module: its own name, its own free port, and gone with its volumes at the end."""

import re
import subprocess
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import anyio
import httpx
from testcontainers.compose import DockerCompose
from testcontainers.core.docker_client import DockerClient

from tests.system.fleet import free_port

ROOT = Path(__file__).parent.parent.parent
PATIENCE_SECONDS = 30.0
TTL_SECONDS = 6.0
BEAT_SECONDS = 1.0
"""As fast.yaml says."""


class Stack:
    """`docker compose` on the project's own file, and on others beside it."""

    def __init__(self, directory: Path, *files: Path, profile: str = "", services: list[str] | None = None) -> None:
        self.port, self.prometheus_port = free_port(), free_port()
        self.project = f"agents-{uuid.uuid4().hex[:8]}"
        environment = directory / "compose.env"
        environment.write_text(
            f"COMPOSE_PROJECT_NAME={self.project}\nMANAGER_PORT={self.port}\nPROMETHEUS_PORT={self.prometheus_port}\n"
            f"SECRETS_DIRECTORY={directory}\n"
        )
        self.compose = DockerCompose(
            ROOT,
            [str(ROOT / "docker-compose.yml"), *map(str, files)],
            env_file=str(environment),
            profiles=[profile] if profile else None,
            services=services,
        )
        self.docker: Any = DockerClient().client
        self.environment = environment

    def __enter__(self) -> Self:
        """Bring everything up and wait until it is healthy; what did come up is taken down when that fails."""
        try:
            self.compose.start()
        except subprocess.CalledProcessError as error:
            said = f"{error.stderr.decode()}\n{self.run('logs', '--tail', '20')}"
            self.__exit__()
            raise AssertionError(f"cannot bring the project up:\n{said}") from error
        return self

    def __exit__(self, *_: object) -> None:
        """Take everything down."""
        self.run("--profile", "*", "down", "--volumes", "--timeout", "2", "--remove-orphans")

    def run(self, *arguments: str) -> str:
        """Run `docker compose` with these arguments on this project; gives what it printed."""
        command = [*self.compose.docker_compose_command(), *arguments]
        ran = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        assert ran.returncode == 0, f"{' '.join(arguments)}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def scale(self, service: str, replicas: int) -> None:
        """Have so many containers of a service, and wait until they are healthy. To compose, `--scale` is a change."""
        scale = ("--no-recreate", "--scale", f"{service}={replicas}")
        self.run("up", "--detach", "--wait", "--no-deps", "--no-build", *scale, service)

    def containers(self, service: str) -> list[Any]:
        """Give the containers of a service, also those that ended, by their names."""
        labels = [f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}"]
        return sorted(self.docker.containers.list(all=True, filters={"label": labels}), key=lambda one: one.name)

    def container_at(self, service_url: str) -> Any:
        """Give the container that has the address of a service URL."""
        network = f"{self.project}_default"
        for service in ("planner", "retriever", "executor"):
            for container in self.containers(service):
                address = container.attrs["NetworkSettings"]["Networks"].get(network, {}).get("IPAddress")
                if address and f"http://{address}:8100" == service_url:
                    return container
        raise AssertionError(f"no container has the address of {service_url}")

    def client(self) -> "ManagerClient":
        """Give a client of this project's manager."""
        return ManagerClient(self)


class ManagerClient:
    """Calls of one test to the manager."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{stack.port}", trust_env=False, timeout=60, limits=httpx.Limits()
        )

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self.http.aclose()

    async def execute(self, agent: str, **parameters: object) -> httpx.Response:
        """Call an agent."""
        return await self.http.post(f"/api/agent-services/{agent}/execute", json={"parameters": parameters})

    async def steps(self, *steps: dict[str, object]) -> httpx.Response:
        """Have the executor run these steps."""
        return await self.execute("executor", steps=list(steps))

    async def agent(self, agent: str) -> dict[str, Any]:
        """Give an agent as it is listed."""
        listed: dict[str, Any] = (await self.http.get(f"/api/agent-services/{agent}")).json()
        return listed

    async def instances(self, agent: str) -> list[dict[str, Any]]:
        """Give the listed instances of an agent."""
        found: list[dict[str, Any]] = (await self.agent(agent))["instances"]
        return found

    async def metric(self, name: str, **labels: str) -> float:
        """Give the sum of the manager's own series of this name that have these labels."""
        text = (await self.http.get("/metrics", params={"scope": "self"})).text
        total = 0.0
        for series, value in re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE):
            if all(f'{label}="{wanted}"' in series for label, wanted in labels.items()):
                total += float(value)
        return total

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str, seconds: float = PATIENCE_SECONDS) -> float:
        """Wait until something holds that only asking can tell; gives how long that took, in seconds."""
        begin = time.monotonic()
        while not await holds():
            if time.monotonic() - begin > seconds:
                logs = self.stack.run("logs", "--tail", "12", "--no-color")
                raise AssertionError(f"not within {seconds:g} s: {what}\n{logs}")
            await anyio.sleep(0.05)
        return time.monotonic() - begin

    async def until_running(self, agent: str, instances: int) -> None:
        """Wait until so many instances of an agent are listed, all running and reachable."""

        async def run() -> bool:
            found = await self.instances(agent)
            states = [(one["state"], one["reachable"]) for one in found]
            return states == [("running", True)] * instances

        await self.until(run, f"{instances} instances of {agent} run")
