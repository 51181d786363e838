"""The client: a pool per origin, and one timer that closes what idles."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from agent_manager.agent_client.call import Call, encode_head
from agent_manager.agent_client.pool import Pool, PoolSettings
from agent_manager.agent_client.response import CallTimedOut

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from agent_manager.agent_client.origin import Origin
    from agent_manager.agent_client.response import Response

_MIN_SWEEP_SECONDS: Final = 0.05  # so that rounding of the clock cannot make the timer spin


class AgentClient:
    """Gives calls to instances and keeps their connections. Belongs to one event loop; `close()` ends it."""

    def __init__(  # each is a bound of its own, given by name
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        connect_timeout_seconds: float = 2.0,
        idle_seconds: float = 2.0,
        max_head_bytes: int = 65536,
        max_body_bytes: int = 16 * 1024 * 1024,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._clock = clock
        self._idle_seconds = idle_seconds
        self._settings = PoolSettings(
            clock=clock,
            connect_timeout_seconds=connect_timeout_seconds,
            idle_seconds=idle_seconds,
            max_head_bytes=max_head_bytes,
            max_body_bytes=max_body_bytes,
            ssl_context=ssl_context,
            on_idle=self._sweep_later,
        )
        # weak: a pool lives as long as a call or a connection of it, so origins that are gone leave nothing
        self._pools: WeakValueDictionary[Origin, Pool] = WeakValueDictionary()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    def call(
        self,
        origin: Origin,
        method: str,
        target: str,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes = b"",
    ) -> Call:
        """Give a request to come: nothing is sent before its `response()` is awaited.

        `Host` and `Content-Length` are set here. Raises `ValueError` for a target or header that would break out of
        its line, or a header that belongs to the connection.
        """
        pool = self._pool(origin)
        head = encode_head(method, target, pool.host, headers, len(body))
        return Call(pool, self._clock, head, body, streams=True)

    async def request(  # the parts of a request
        self,
        origin: Origin,
        method: str,
        target: str,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        *,
        timeout_seconds: float,
    ) -> Response:
        """Give the whole response, an event stream's too. Raises `CallError`; `CallTimedOut` when the time is up."""
        pool = self._pool(origin)
        head = encode_head(method, target, pool.host, headers, len(body))
        call = Call(pool, self._clock, head, body, streams=False)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await call.response()
        except TimeoutError as error:
            request = f"{method} {target} of {origin}"
            raise CallTimedOut(f"cannot get {request}: no whole response within {timeout_seconds} s") from error

    def close_idle(self, origin: Origin) -> None:
        """Close the idle connections to an instance that said it is stopping: it waits for none of them."""
        pool = self._pools.get(origin)
        if pool is not None:
            pool.close_idle()

    async def close(self) -> None:
        """Close every connection and wait until each is gone; calls in hand raise `ConnectionLost`."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in [connection for pool in list(self._pools.values()) for connection in pool.close()]:
            await connection.closed

    def _pool(self, origin: Origin) -> Pool:
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = Pool(origin, self._settings, closed=self._closed)
        return pool

    def _sweep_later(self, idle_since: float) -> None:
        """Arm the one timer for the connection that has idled longest; it is armed while any connection idles."""
        if self._sweeper is None:
            delay = idle_since + self._idle_seconds - self._clock()
            self._sweeper = asyncio.get_running_loop().call_later(max(delay, _MIN_SWEEP_SECONDS), self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = self._clock()
        oldest = [since for pool in list(self._pools.values()) if (since := pool.sweep(now)) is not None]
        if oldest:
            self._sweep_later(min(oldest))
