"""The connections to one origin: made within a bound of time, kept a short while for the next request."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
import ssl
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from agent_manager.agent_client.connection import Connection
from agent_manager.agent_client.parser import ResponseParser
from agent_manager.agent_client.response import ConnectFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_manager.agent_client.origin import Origin

MAX_IDLE_CONNECTIONS: Final = 64
"""Kept per origin after a burst: more than an adapter's usual concurrency, few enough for 500 origins and 64k files."""


@functools.cache
def _default_ssl_context() -> ssl.SSLContext:
    """Give the context that trusts what the system trusts; it costs some 20 ms, so it is made once."""
    return ssl.create_default_context()


class PoolSettings(msgspec.Struct, frozen=True):
    """What the pools of one client have in common."""

    clock: Callable[[], float]
    connect_timeout_seconds: float
    idle_seconds: float
    max_head_bytes: int
    max_body_bytes: int
    ssl_context: ssl.SSLContext | None
    on_idle: Callable[[float], None]
    """Called with its `idle_since` when a connection becomes idle: it must be swept in time."""


class Pool:
    """Idle connections, the newest reused first so that a calm pool shrinks, and those in use."""

    def __init__(self, origin: Origin, settings: PoolSettings, *, closed: bool) -> None:
        self.origin = origin
        self.host = origin.authority.encode("ascii")
        self.connect_timeout_seconds = settings.connect_timeout_seconds
        self._settings = settings
        self._closed = closed
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()

    def take(self, now: float) -> Connection | None:
        """Give an idle connection that is young enough and still quiet, or None; closes those that are not."""
        idle, oldest = self._idle, now - self._settings.idle_seconds
        while idle:
            connection = idle.pop()
            if connection.idle_since >= oldest and connection.is_quiet():
                return connection
            connection.close()
        return None

    def remember(self, connection: Connection) -> None:
        """Keep count of an open connection."""
        self._open.add(connection)

    def put(self, connection: Connection) -> None:
        """Keep a free connection; the oldest goes where there are too many."""
        if len(self._idle) >= MAX_IDLE_CONNECTIONS:
            self._idle.popleft().close()
        self._idle.append(connection)
        self._settings.on_idle(connection.idle_since)

    def forget(self, connection: Connection) -> None:
        """Drop a connection that is closed, by us or by the other side while it was idle."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def sweep(self, now: float) -> float | None:
        """Close what was idle for too long; gives since when the oldest of the others is idle, or None."""
        idle, oldest = self._idle, now - self._settings.idle_seconds
        while idle and idle[0].idle_since <= oldest:
            idle.popleft().close()
        return idle[0].idle_since if idle else None

    def close_idle(self) -> None:
        """Close every idle connection."""
        while self._idle:
            self._idle.pop().close()

    def close(self) -> list[Connection]:
        """Close every connection, also those still to come; gives the present ones, to be waited for."""
        self._closed = True
        self._idle.clear()
        connections = list(self._open)
        for connection in connections:
            connection.close()
        return connections

    async def connect(self) -> Connection:
        """Give a new connection. Raises `ConnectFailed`; the caller bounds the time."""
        failures: list[OSError] = []
        try:
            for address in await self._addresses():
                try:
                    return await self._open_to(address)
                except OSError as error:  # the next address may do
                    failures.append(error)
        except OSError as error:
            failures.append(error)
        refused = all(isinstance(error, ConnectionRefusedError) for error in failures)
        raise ConnectFailed(f"cannot connect to {self.origin}: {failures[-1]}", refused=refused) from failures[-1]

    async def _addresses(self) -> list[str]:
        """Resolve the host. Each address is tried by itself: together their errors no longer say `refused`."""
        origin = self.origin
        try:
            ipaddress.ip_address(origin.host)
        except ValueError:
            found = await asyncio.get_running_loop().getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(address[0]) for *_, address in found))
        return [origin.host]

    async def _open_to(self, address: str) -> Connection:
        if self._closed:
            raise ConnectFailed(f"cannot connect to {self.origin}: the client is closed")
        origin, made = self.origin, []

        def new() -> Connection:
            made.append(self._new())
            return made[-1]

        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                new,
                address,
                origin.port,
                ssl=(self._settings.ssl_context or _default_ssl_context()) if origin.tls else None,
                server_hostname=(origin.name or origin.host) if origin.tls else None,
            )
        except BaseException:
            # uvloop does not tell a protocol that its connection is closed where its making was cancelled
            for connection in made:
                connection.never_was()
            raise
        if self._closed:  # while we waited
            connection.close()
            raise ConnectFailed(f"cannot connect to {origin}: the client is closed")
        return connection

    def _new(self) -> Connection:
        settings = self._settings
        return Connection(self, ResponseParser(settings.max_head_bytes, settings.max_body_bytes), settings.clock)
