"""Serving HTTP with uvicorn's protocol and our own life: no signals, no tick, and a way to leave that loses nothing.

uvicorn's own server closes its listener first and looks ten times a second whether it may go. This one keeps answering
until it is told to leave, answers every request of which a byte has arrived, and is gone within milliseconds.

    CannotListen     an address that cannot be had
    StartFailed      the application's start-up failed
"""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import time
from collections.abc import Sequence
from email.utils import formatdate
from typing import Any, Final

import uvicorn
from uvicorn.server import ServerState

from agent_contract.asgi import App
from agent_contract.http_connection import Connection

BACKLOG: Final = 2048
_TICK_SECONDS: Final = 1.0
_TURNS: Final = 3
"""Turns of the event loop in which whatever has arrived is accepted and read: accept, first read, head of a request."""


class CannotListen(OSError):  # noqa: N818  # what happened
    """The address cannot be listened on; the message says which and why."""


class StartFailed(Exception):  # noqa: N818  # what happened
    """The application's start-up failed; its log says why."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Give listening sockets for every address of `host`; port 0 picks a free one.

    Raises:
        CannotListen: the port is in use, is privileged, or the host has no such address.

    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        addresses = sorted({(family, address) for family, _, _, _, address in found})
        return [_bound(family, address) for family, address in addresses]
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(f"cannot listen on {host}:{port}: the port is in use by another process") from error
        raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


def inherited(number: int, host: str, port: int) -> socket.socket | None:
    """Give the listening socket that the process before the exec left, if it has this address; else close it."""
    try:
        kept = socket.socket(fileno=number)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = kept.getsockname()
        wanted = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
        if bound[0] == wanted[0] and port in (0, bound[1]):
            return kept
    kept.close()
    return None


class _State(ServerState):
    """uvicorn's state of a server, and ours: whether answers close their connection, and who waits for quiet."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = False
        self.waiter: asyncio.Event | None = None

    def changed(self) -> None:
        if self.waiter is not None:
            self.waiter.set()


class Server:
    """Serves an ASGI application on listening sockets."""

    def __init__(
        self,
        app: App,
        sockets: Sequence[socket.socket],
        *,
        keep_alive_seconds: float = 5.0,
        head_seconds: float = 10.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.tls = tls
        """The live context: loading a new certificate into it rotates without a restart."""
        self._sockets = list(sockets)
        self._head_seconds = head_seconds
        self._config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            loop="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=keep_alive_seconds,  # type: ignore[arg-type]  # seconds, and call_later takes fractions
        )
        self._state = _State()
        self._servers: list[asyncio.Server] = []
        self._lifespan: Any = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def in_flight(self) -> int:
        """How many requests have begun to arrive and are not answered; followers are not counted."""
        return sum((one.in_message or one.answering) and not one.follower for one in self._connections())

    async def start(self) -> None:
        """Run the application's start-up and accept connections; raises StartFailed."""
        self._config.load()
        self._lifespan = self._config.lifespan_class(self._config)
        await self._lifespan.startup()
        if self._lifespan.should_exit:
            raise StartFailed("the application's start-up failed")
        self._tick()
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            # the loop closes what it is given; the original stays ours until the last connection was taken from it
            own = listening.dup()
            self._servers.append(await loop.create_server(self._connect, sock=own, ssl=self.tls, backlog=BACKLOG))

    def close_after_answers(self) -> None:
        """From now on every answer carries `Connection: close`."""
        if not self._state.closing:
            self._state.closing = True
            for connection in self._connections():
                connection.close_after_answer()

    def reopen(self) -> None:
        """Keep connections alive again: the drain was called off."""
        self._state.closing = False

    async def leave(self, *, unfinished_seconds: float = 1.0) -> None:
        """Answer every request of which a byte has arrived, then close everything; bounded by the caller's timeout.

        A request that is not whole is waited for `unfinished_seconds`. Followers and idle connections are closed.
        """
        self.close_after_answers()
        await self._turns()
        await self._stop_listening()
        await self._turns()
        await self._quiet(unfinished_seconds)
        if self._timer is not None:
            self._timer.cancel()
        await self._lifespan.shutdown()

    def abort(self) -> None:
        """Drop every connection at once."""
        for connection in self._connections():
            connection.transport.abort()

    async def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            listening.setblocking(False)
            with contextlib.suppress(BlockingIOError, OSError):
                while True:
                    accepted, _ = listening.accept()
                    accepted.setblocking(False)
                    await loop.connect_accepted_socket(self._connect, accepted, ssl=self.tls)
            listening.close()

    async def _quiet(self, unfinished_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + unfinished_seconds
        self._state.waiter = asyncio.Event()
        while True:
            self._state.waiter.clear()
            late = loop.time() >= give_up
            for connection in self._connections():
                if connection.follower or connection.idle or (late and connection.unfinished):
                    connection.transport.close()
            if not self._state.connections:
                return
            waits = any(one.unfinished for one in self._connections()) and not late
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(give_up if waits else None):
                    await self._state.waiter.wait()

    async def _turns(self) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def _connect(self) -> Connection:
        return Connection(self._config, self._state, self._lifespan.state)

    def _connections(self) -> list[Connection]:
        return list(self._state.connections)  # type: ignore[arg-type]  # all are made by _connect

    def _tick(self) -> None:
        """Once a second: the Date header, and an end to heads and bodies that do not come."""
        loop = asyncio.get_running_loop()
        self._state.default_headers = [(b"date", formatdate(time.time(), usegmt=True).encode())]
        horizon = loop.time() - self._head_seconds
        for connection in self._connections():
            if connection.since > horizon:
                continue
            if connection.in_message:
                connection.reject(408, "bad-request", f"nothing came for {self._head_seconds:g} s")
            elif connection.cycle is None:
                connection.transport.close()
        self._timer = loop.call_later(_TICK_SECONDS, self._tick)


def _bound(family: int, address: Any) -> socket.socket:  # noqa: ANN401  # an address of that family
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening
