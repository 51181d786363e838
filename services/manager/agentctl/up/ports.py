"""Finding out, before anything is started, that a port is taken: which one, and which program wants it."""

import errno
import socket
from collections.abc import Iterable
from typing import Final

from agentctl.up.plan import Program

_REASONS: Final = {
    errno.EADDRINUSE: "it is in use",
    errno.EADDRNOTAVAIL: "the host is not an address of this machine",
    errno.EACCES: "this user may not listen there",
}


def taken(programs: Iterable[Program]) -> dict[str, str]:
    """Give, for each program whose address cannot be listened on, why: `port 8100 at 127.0.0.1: it is in use`."""
    troubles: dict[str, str] = {}
    owners: dict[tuple[str, int], str] = {}
    for program in programs:
        first = owners.setdefault((program.host, program.port), program.name)
        reason = f"it is also that of {first}" if first != program.name else _trouble(program.host, program.port)
        if reason is not None:
            troubles[program.name] = f"port {program.port} at {program.host}: {reason}"
    return troubles


def _trouble(host: str, port: int) -> str | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return _REASONS.get(error.errno or 0, str(error))
    return None
