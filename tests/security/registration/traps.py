"""Sockets that wait for a connection that must not come, and a record of every address that this process turns to."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

_BACKLOG: Final = 128
_TRIES: Final = 20

_records: list["Turns"] = []


class Turns:
    """Where this process connected to, and which names it looked up, whatever came of it."""

    def __init__(self) -> None:
        self.ports: set[int] = set()
        self.hosts: set[str] = set()
        self.names: list[str] = []

    def note(self, event: str, facts: tuple[Any, ...]) -> None:
        """Take an audit event of the interpreter."""
        if event == "socket.connect" and isinstance(facts[1], tuple):
            host, port = facts[1][:2]
            self.hosts.add(str(host))
            self.ports.add(int(port))
        elif event == "socket.getaddrinfo" and isinstance(facts[0], str):
            self.names.append(facts[0])


def _hear(event: str, facts: tuple[Any, ...]) -> None:
    if _records and event.startswith("socket."):
        for record in _records:
            record.note(event, facts)


sys.addaudithook(_hear)


@contextmanager
def noted_turns() -> Iterator[Turns]:
    """Note each address while the block runs."""
    record = Turns()
    _records.append(record)
    try:
        yield record
    finally:
        _records.remove(record)


class Traps:
    """Sockets that listen and are never read: the kernel keeps each connection until it is counted."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        self.port = int(sockets[0].getsockname()[1])

    @classmethod
    def everywhere(cls) -> Self:
        """Listen at one port of every address that this machine has, in both families."""
        for _ in range(_TRIES):
            first = _listening(socket.AF_INET, "0.0.0.0", 0)  # whatever address leads here is seen
            try:
                return cls([first, _listening(socket.AF_INET6, "::", first.getsockname()[1])])
            except OSError:  # somebody has that port in the other family
                first.close()
        raise RuntimeError("no port is free in both families")

    @classmethod
    def at(cls, host: str, port: int = 0) -> Self:
        """Listen at one address."""
        return cls([_listening(socket.AF_INET, host, port)])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._sockets:
            one.close()

    def count(self) -> int:
        """Give how many connected since it was asked last, those that have gone again too."""
        return sum(_drained(one) for one in self._sockets)


def _listening(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listening = socket.socket(family)
    try:
        if family is socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


def _drained(listening: socket.socket) -> int:
    count = 0
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1
