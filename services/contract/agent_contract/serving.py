"""Serving HTTP with uvicorn's protocol and our own life: no signals, no tick, and a leave that loses nothing.

uvicorn's own server takes the signals, closes its listener before it answers, and looks ten times a second whether it
may go. This one serves until it is told to leave, answers every request of which a byte has arrived, and is gone
within milliseconds.

    CannotListen (OSError) > PortInUse      an address that cannot be had (agent_contract.listening)
    StartFailed                             the application did not start (agent_contract.lifespan)
"""

import asyncio
import contextlib
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Final, cast

import structlog
import uvicorn

from agent_contract.asgi import App
from agent_contract.http_connection import Connection
from agent_contract.http_patience import NEVER, Patience, leave, sweep
from agent_contract.http_shared import Shared
from agent_contract.lifespan import EndFailed, Lifespan, StartFailed
from agent_contract.listening import (
    BACKLOG,
    CannotListen,
    PortInUse,
    any_waiting,
    drop_newcomers,
    inherited,
    listen,
)

__all__ = [
    "CannotListen",
    "PortInUse",
    "Server",
    "StartFailed",
    "inherited",
    "listen",
    "new_event_loop",
]

_SWEEP_SECONDS: Final = 1.0
"""How often the clock is looked at, for the Date header and for clients that idle or stall."""

_HANDSHAKE_SECONDS: Final = 0.002
"""What a connection that is being opened gets to finish that before the listener closes: a round trip or two.
Not longer, for a client that comes meanwhile tries again only after a second."""

_SETTLE_TURNS: Final = 6
"""Turns of the event loop after which an accepted connection has its protocol and its first bytes are read:
asyncio takes five (accept, task, connection made, reader added, poll), uvloop three."""

_LAST_STEPS_SECONDS: Final = 0.1
"""What the application gets for its last steps behind an answer; a request whose client has gone is then cancelled."""

_CANCELLED_SECONDS: Final = 1.0
"""What a cancelled request gets to clean up; leaving does not wait for one that ignores it."""

_log: Final = structlog.stdlib.get_logger(__name__)

new_event_loop: Callable[[], asyncio.AbstractEventLoop]
"""Makes the event loop to serve on, for `asyncio.Runner(loop_factory=...)`: uvloop's, 1.5 times as fast."""
if sys.platform == "win32":
    new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop


class Server:
    """Serves an ASGI application on listening sockets, which it owns from now on.

    A client may take `head_seconds` for a head (and for its first byte) and `body_seconds` between two pieces of a
    body, and idle for at least `keep_alive_seconds` between requests: callers must give up an idle connection sooner.
    """

    def __init__(
        self,
        app: App,
        sockets: Sequence[socket.socket],
        *,
        keep_alive_seconds: float = 5.0,
        head_seconds: float = 10.0,
        body_seconds: float = 20.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._sockets = list(sockets)
        self._patience = Patience(keep_alive_seconds, head_seconds, body_seconds)
        self._sweep_seconds = min(_SWEEP_SECONDS, keep_alive_seconds, head_seconds, body_seconds)
        self._shared = Shared()
        self._lifespan = Lifespan(app)
        self._config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            forwarded_allow_ips="",
            workers=1,
        )
        self._leaving = asyncio.Lock()  # a second order waits for the first, and finds nothing left to do
        self._listeners: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def in_flight(self) -> int:
        """How many requests have begun to arrive and are not answered, wholly and into the socket."""
        return sum(connection.in_flight for connection in self._connections())

    async def start(self) -> None:
        """Start the application, then take connections; those that wait already are served. Raises StartFailed."""
        await self._lifespan.start()
        if not self._config.loaded:
            self._config.load()
        self._shared.default_headers.append((b"date", b""))
        self._look_at_clock()
        loop = asyncio.get_running_loop()
        timeout = None if self._tls is None else self._patience.head
        for listening in self._sockets:
            listener = await loop.create_server(
                lambda: Connection(self._config, self._shared, self._lifespan.state),
                sock=listening.dup(),  # the loop closes it as it stops accepting; the original keeps the address
                ssl=self._tls,
                ssl_handshake_timeout=timeout,
                backlog=BACKLOG,
            )
            self._listeners.append(listener)

    def close_after_answers(self) -> None:
        """Let every answer from now on carry `Connection: close`; idle connections stay until they are used or idle."""
        if self._shared.closing:
            return
        self._shared.closing = True
        for connection in self._connections():
            connection.keep_alive_after_answer(wanted=False)

    def reopen(self) -> None:
        """Keep connections alive again: the drain was called off."""
        if not self._shared.closing:
            return
        self._shared.closing = False
        for connection in self._connections():
            connection.keep_alive_after_answer(wanted=True)

    def detach(self) -> int:
        """Give a descriptor of the (first) listening socket that survives `leave(keep_listening=True)` and an exec."""
        return self.detach_all()[0]

    def detach_all(self) -> list[int]:
        """Give such a descriptor for each listening socket: `localhost` has two."""
        descriptors = [os.dup(listening.fileno()) for listening in self._sockets]
        for descriptor in descriptors:
            os.set_inheritable(descriptor, True)
        return descriptors

    async def stop_listening(self, *, keep_address: bool = False) -> None:
        """Take every connection that waits, then take no more; from then on the address refuses connections.

        With `keep_address` connections wait from now on for whoever inherits a descriptor that was made before.
        """
        if self._listeners and not keep_address:
            for listening in self._sockets:
                drop_newcomers(listening)
            await asyncio.sleep(_HANDSHAKE_SECONDS)
            await self._accept_waiting()
            await _turns(_SETTLE_TURNS)  # asyncio drops an accepted connection whose transport is not there yet
        for listener in self._listeners:
            listener.close()
        for listening in self._sockets:
            listening.close()
        self._listeners.clear()
        self._sockets.clear()
        await _turns(_SETTLE_TURNS)  # what was taken last has its protocol and its first bytes

    async def leave(self, *, unfinished_seconds: float = 1.0, keep_listening: bool = False) -> None:
        """Answer every request of which a byte has arrived, then close everything and end the application.

        A request with the application is waited for without limit: the caller bounds this, then calls `abort` and,
        for the rest, `leave` again. One that has not arrived whole is waited for `unfinished_seconds`, then it gets
        408. Followers and idle connections are closed. With `keep_listening` new connections wait in the address's
        backlog for the process that inherits it (`detach`).
        """
        ordered_at = asyncio.get_running_loop().time()
        self.close_after_answers()
        async with self._leaving:
            if self._listeners and not keep_listening:
                # Meanwhile the listener is open: callers that do not know yet get answers, not refused connections.
                begun = {connection for connection in self._connections() if connection.busy}
                await self._part_from(lambda each: each in begun and each.busy, ordered_at, unfinished_seconds)
            await self.stop_listening(keep_address=keep_listening)
            await self._part_from(lambda _: True, ordered_at, unfinished_seconds)
            await self._end()

    def abort(self) -> None:
        """Drop every connection at once, whatever is under way."""
        for connection in self._connections():
            connection.transport.abort()

    async def _accept_waiting(self) -> None:
        """Turn the event loop until the connections that wait now are taken: a queue's length of turns is enough.

        uvloop takes one connection a turn and listener; asyncio takes all.
        """
        for _ in range(BACKLOG + 1):
            if not any_waiting(self._sockets):
                return
            await asyncio.sleep(0)

    async def _part_from(
        self, whom: Callable[[Connection], bool], ordered_at: float, unfinished_seconds: float
    ) -> None:
        """Do what leaving asks of each connection that is meant, until there is none."""
        loop = asyncio.get_running_loop()
        self._shared.leaving = changed = asyncio.Event()
        while meant := [connection for connection in self._connections() if whom(connection)]:
            changed.clear()
            now = loop.time()
            again = min(leave(connection, now, ordered_at, unfinished_seconds) for connection in meant)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(None if again == NEVER else again):
                    await changed.wait()

    async def _end(self) -> None:
        """End what still runs of requests, for which nobody waits any more, then the application."""
        tasks = self._shared.tasks
        if tasks:
            await asyncio.wait(tasks, timeout=_LAST_STEPS_SECONDS)
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCELLED_SECONDS)
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._lifespan.end()
        except EndFailed as error:
            _log.error("the application did not end in order", reason=str(error), exc_info=error.__cause__)

    def _look_at_clock(self) -> None:
        loop = asyncio.get_running_loop()
        # In place: answers that are under way hold this list.
        self._shared.default_headers[0] = (b"date", formatdate(time.time(), usegmt=True).encode())
        now = loop.time()
        for connection in self._connections():
            sweep(connection, now, self._patience)
        self._timer = loop.call_later(self._sweep_seconds, self._look_at_clock)

    def _connections(self) -> list[Connection]:
        return list(cast("set[Connection]", self._shared.connections))


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
