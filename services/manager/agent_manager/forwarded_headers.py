"""What crosses from a client to an agent: an allow-list, so that what is new stays out until somebody thought of it."""

from collections.abc import Iterable
from typing import Final

_CROSSING: Final = frozenset(
    (
        b"accept",
        b"accept-language",
        b"baggage",
        b"content-encoding",
        b"content-type",
        b"idempotency-key",
        b"prefer",
        b"traceparent",
        b"tracestate",
    )
)


def forwarded_headers(
    received: Iterable[tuple[bytes, bytes]], *, task_id: str, caller: str | None
) -> list[tuple[bytes, bytes]]:
    """Give the headers for the adapter: the client's that cross, and the manager's own two.

    Not the proof of who asks, which is another for each instance.

    A client's `X-Task-Id`, `X-Agent-Caller`, `X-Manager-Token` and `Authorization` never cross.
    """
    headers = [header for header in received if header[0] in _CROSSING]
    headers.append((b"x-task-id", task_id.encode()))
    if caller is not None:
        headers.append((b"x-agent-caller", caller.encode("ascii")))
    return headers
