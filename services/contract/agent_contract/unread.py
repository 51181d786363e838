"""What a peer sent that still lies in the kernel: a connection is idle only when that is nothing."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator


def has_unread(transport: asyncio.BaseTransport) -> bool:
    """Say whether bytes of the peer, or its end, wait to be read."""
    with _borrowed(transport) as own:
        return own is not None and _waits(own)


def end_unless_unread(transport: asyncio.BaseTransport) -> bool:
    """Tell the peer that nothing more will come, unless something of it waits to be read; gives whether it was told.

    The look and the telling are two system calls with nothing in between: closing the transport would take a turn of
    the event loop, in which a request could arrive and be lost.
    """
    with _borrowed(transport) as own:
        if own is None:
            return True
        if _waits(own):
            return False
        with contextlib.suppress(OSError):  # the peer has gone
            own.shutdown(socket.SHUT_WR)
        return True


@contextlib.contextmanager
def _borrowed(transport: asyncio.BaseTransport) -> Iterator[socket.socket | None]:
    """Give the transport's socket as one that can be peeked into, which asyncio's and uvloop's own cannot."""
    opened = transport.get_extra_info("socket")
    if opened is None or opened.fileno() < 0:
        yield None
        return
    own = socket.socket(opened.family, opened.type, opened.proto, fileno=opened.fileno())
    try:
        yield own
    finally:
        own.detach()


def _waits(own: socket.socket) -> bool:
    try:
        own.recv(1, socket.MSG_PEEK)  # the event loop made it non-blocking
    except BlockingIOError:
        return False
    except OSError:
        pass  # a reset, say: the event loop meets it at its next turn
    return True
