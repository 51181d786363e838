"""A compose project of one test module: its own name, its own free port, and gone with its volumes at the end."""

import subprocess
import uuid
from pathlib import Path
from typing import Any, Self

from testcontainers.compose import DockerCompose
from testcontainers.core.docker_client import DockerClient

from tests.system.fleet import free_port
from tests.system.manager_client import ManagerClient

ROOT = Path(__file__).parent.parent.parent
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

    def client(self) -> ManagerClient:
        """Give a client of this project's manager."""
        return ManagerClient(self.port, lambda: self.run("logs", "--tail", "12", "--no-color"))
