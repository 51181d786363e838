"""How long a connection is waited for: while serving, and when the service leaves. Times are the event loop's.

Nobody is cut off while bytes of them lie unread in the kernel: a loop that was blocked for a while would blame its
clients, and one that leaves would drop a request that has arrived.
"""

from typing import Final

import msgspec

from agent_contract.http_connection import BETWEEN, HEAD, Connection
from agent_contract.http_head import Unsound
from agent_contract.unread import end_unless_unread, has_unread

LINGER_SECONDS: Final = 5.0
"""How long what a client still sends after its last answer is taken and dropped (nginx's `lingering_timeout`)."""

NEWCOMER_SECONDS: Final = 0.02
"""A connection this young that has said nothing is about to: leaving waits for its first byte."""

FOLLOWER_SECONDS: Final = 0.05
"""What the application of a follower has to end it by itself, so that its reader sees an orderly end."""

GOODBYE_SECONDS: Final = 0.05
"""What a TLS client has to answer the end of its connection; one that holds it in a pool may never look."""

LOOK_AGAIN_SECONDS: Final = 0.001
"""After this a turn of the event loop has read what lay in the kernel."""

NEVER: Final = float("inf")


class Patience(msgspec.Struct, frozen=True):
    """How many seconds a client may take: between requests, for a head, and between two pieces of a body."""

    keep_alive: float
    head: float
    body: float


def sweep(connection: Connection, now: float, patience: Patience) -> None:
    """Close a connection that has idled or stalled for too long."""
    if connection.transport.is_closing():
        return
    if connection.part != BETWEEN and not connection.lingers:
        _sweep_arriving(connection, now, patience)
    elif connection.lingers:
        if now - connection.since >= LINGER_SECONDS:
            connection.transport.close()
    elif connection.transport.get_write_buffer_size():
        connection.since = now  # the last answer is still being taken, or the kernel gives its reader up
    elif not connection.answering:
        limit = patience.head if connection.untouched else patience.keep_alive
        if now - connection.since >= limit:
            _retire(connection)


def leave(connection: Connection, now: float, ordered_at: float, unfinished_seconds: float) -> float:
    """Do what leaving asks of a connection now; gives when to look at it again, `NEVER` if an event will tell."""
    if connection.transport.is_closing():
        return _leave_closing(connection, now, max(ordered_at, connection.since) + GOODBYE_SECONDS)
    arriving = connection.part != BETWEEN and not connection.flow.read_paused
    if arriving or connection.lingers:
        return _leave_unfinished(connection, now, max(ordered_at, connection.since) + unfinished_seconds)
    if connection.answering:
        return _leave_follower(connection, now, ordered_at + FOLLOWER_SECONDS)
    if connection.untouched and now < connection.since + NEWCOMER_SECONDS:
        return connection.since + NEWCOMER_SECONDS
    _retire(connection)
    return now + LOOK_AGAIN_SECONDS


def _sweep_arriving(connection: Connection, now: float, patience: Patience) -> None:
    if connection.flow.read_paused:
        connection.since = connection.heard_at = now  # the application takes its time, not the client
    elif connection.part == HEAD:
        if now - connection.since >= patience.head and not has_unread(connection.transport):
            connection.refuse(Unsound(408, f"the head did not arrive within {patience.head:g} s"))
    elif now - connection.heard_at >= patience.body and not has_unread(connection.transport):
        connection.refuse(Unsound(408, f"nothing of the body arrived for {patience.body:g} s"))


def _leave_closing(connection: Connection, now: float, due: float) -> float:
    """Give up a TLS client that does not say goodbye; what is still to be written is always waited for."""
    if connection.scheme != "https":
        return NEVER
    if now < due:
        return due
    if connection.transport.get_write_buffer_size():
        return now + GOODBYE_SECONDS
    connection.transport.abort()
    return NEVER


def _leave_unfinished(connection: Connection, now: float, due: float) -> float:
    if now < due:
        return due
    if not connection.lingers:
        if has_unread(connection.transport):
            return now + LOOK_AGAIN_SECONDS
        connection.refuse(Unsound(408, "the request did not arrive whole before the service left"))
    if not connection.answering:
        connection.transport.close()
    return NEVER


def _leave_follower(connection: Connection, now: float, due: float) -> float:
    if connection.active is None or not connection.active.follower:
        return NEVER
    if now >= due:
        connection.transport.close()
    return due


def _retire(connection: Connection) -> None:
    """Close an idle connection, unless the kernel holds bytes of it."""
    transport = connection.transport
    if connection.scheme == "https" or transport.get_write_buffer_size():
        if not has_unread(transport):
            transport.close()  # behind what is still to be written, TLS's own end included
    elif end_unless_unread(transport):
        transport.close()
