"""The sockets that a server listens on: taken, inherited over an exec, and given up without losing a connection.

CannotListen (OSError)
    PortInUse       another process listens there
"""

import array
import contextlib
import errno
import select
import socket
import struct
import sys
from collections.abc import Iterable
from typing import Any, Final

BACKLOG: Final = 2048
"""Connections that wait to be accepted: a burst of all callers at once, and what comes during an exec."""

UNACKNOWLEDGED_MILLISECONDS: Final = 120_000
"""How long a peer may take nothing of what is sent to it: then the kernel drops it, also one that only stopped reading.

Without it a reader that vanished in the middle of an answer or stream holds its socket for good.
"""

_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27

Address = tuple[Any, ...]


class CannotListen(OSError):  # noqa: N818  # what happened
    """The address cannot be listened on; the message says which and why."""


class PortInUse(CannotListen):
    """Another process listens on the port."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Give bound and listening sockets for every address of `host`, all on one port; port 0 picks a free one.

    `::` alone takes IPv4 connections too. Of several addresses (`localhost`) those that the machine does not have
    are left out.

    Raises:
        PortInUse: another process listens there.
        CannotListen: the host has no such address, the port is privileged, ...

    """
    taken: list[socket.socket] = []
    missing: OSError | None = None
    try:
        addresses = _addresses(host, port)
        both_families = len({family for family, _ in addresses}) > 1
        for family, address in addresses:
            if taken and port == 0:
                address = (address[0], taken[0].getsockname()[1], *address[2:])  # noqa: PLW2901  # one port for all
            try:
                taken.append(_listening(family, address, only_own_family=both_families))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
        if not taken and missing is not None:
            raise missing
    except OSError as error:
        for listening in taken:
            listening.close()
        raise _cannot_listen(host, port, error) from error
    return taken


def inherited(fd: int, host: str, port: int) -> socket.socket | None:
    """Give the listening socket that the process before the exec left as `fd`, if it has this address.

    Port 0 keeps whichever port it has. Any other socket is closed and None given; what is no socket is left alone.
    """
    try:
        kept = socket.socket(fileno=fd)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        bound = kept.getsockname()
        wanted = {address[0] for family, address in _addresses(host, port) if family == kept.family}
        listens = kept.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if listens and bound[0] in wanted and port in (0, bound[1]):
            kept.set_inheritable(False)
            kept.setblocking(False)
            take_newcomers(kept)
            return kept
    kept.close()
    return None


def drop_newcomers(listening: socket.socket) -> None:
    """Let the kernel drop what opens a new connection to this socket; those that are being opened still get through.

    A listener that is closed resets every connection in its queue, also one that came between the last look and the
    close, and its client cannot know whether its request began. After this the queue only empties. A client whose
    opening packet is dropped sends it again a second later and is refused, or reaches the successor. Linux only, and
    where the kernel does not allow it the gap is the microseconds that it always was.
    """
    if sys.platform != "linux":
        return
    program = b"".join(
        struct.pack("HBBI", code, jump_true, jump_false, value)  # struct sock_filter (linux/filter.h)
        for code, jump_true, jump_false, value in (
            (0x30, 0, 0, 13),  # load byte 13 of the TCP header: its flags
            (0x54, 0, 0, 0x12),  # and with SYN | ACK
            (0x15, 0, 1, 0x02),  # SYN alone: the first packet of a connection
            (0x06, 0, 0, 0),  # is dropped
            (0x06, 0, 0, 0xFFFFFFFF),  # anything else passes
        )
    )
    instructions = array.array("B", program)
    filter_ = struct.pack("HP", len(program) // 8, instructions.buffer_info()[0])  # struct sock_fprog
    with contextlib.suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)


def take_newcomers(listening: socket.socket) -> None:
    """Undo `drop_newcomers`: it stays with the socket over an exec."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            listening.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def any_waiting(listening: Iterable[socket.socket]) -> bool:
    """Say whether a connection waits to be accepted on any of the sockets."""
    if sys.platform == "win32":
        return bool(select.select(list(listening), [], [], 0)[0])
    poll = select.poll()
    for each in listening:
        poll.register(each, select.POLLIN)
    return bool(poll.poll(0))


def _addresses(host: str, port: int) -> list[tuple[int, Address]]:
    """Give the addresses of `host`, IPv4 first; raises OSError."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return sorted({(int(family), address) for family, _, _, _, address in found})


def _listening(family: int, address: Address, *, only_own_family: bool) -> socket.socket:
    # the protocol is named, for asyncio sets TCP_NODELAY only where it is: without it a chunk waits 40 ms for an ACK
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # there it would let two processes have one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_own_family)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # the accepted connections inherit it
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MILLISECONDS)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _cannot_listen(host: str, port: int, error: OSError) -> CannotListen:
    where = f"cannot listen on {f'[{host}]' if ':' in host else host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return PortInUse(f"{where}: another process listens there")
    return CannotListen(f"{where}: {(error.strerror or str(error)).lower()}")
