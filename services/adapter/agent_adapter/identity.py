"""Which process this is: its instance id, new for every process, and where it can be reached."""

import socket
from datetime import UTC, datetime
from urllib.parse import urlsplit

from agent_contract.identity import new_id

_WILDCARDS = ("0.0.0.0", "::", "")  # noqa: S104  # compared with, not bound to


class Identity:
    """The id of this process. A manager that calls it stale gets a new one, once."""

    def __init__(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self.instance_id = new_id()
        self.started_at = datetime.now(UTC)
        self.facts = {"agent": agent_id, "instance_id": self.instance_id}
        """What every log line says of who wrote it."""
        self._renewed = False

    def renew(self) -> bool:
        """Take a new instance id; False when that was done before."""
        if self._renewed:
            return False
        self._renewed, self.instance_id = True, new_id()
        self.facts["instance_id"] = self.instance_id
        return True


def service_url(
    configured: str | None, host: str, port: int, manager_address: tuple[str, int], *, tls: bool = False
) -> str:
    """Give the URL to register: the configured one, else the address listened on.

    Where that is a wildcard it is the local address of a connection to the manager.
    """
    if configured:
        return configured.rstrip("/")
    if host in _WILDCARDS:
        host = _local_address(manager_address)
    elif host == "localhost":
        host = "127.0.0.1"
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def resolve(url: str) -> list[tuple[str, int]]:
    """Give every address of a URL's host, with its port; raises OSError when there is none. Blocks."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    return sorted({(str(address[0]), port) for *_, address in found})


def _local_address(manager_address: tuple[str, int]) -> str:
    family = socket.AF_INET6 if ":" in manager_address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(manager_address)  # sends nothing: it only picks the route
        return str(probe.getsockname()[0])
