"""One call on its way to an agent: what is sent, and what was learned from the tries so far."""

from collections.abc import Awaitable, Callable

from agent_contract.tracing import UNTRACED, Span
from msgspec import Struct

from agent_manager.agent_tokens import Headers, Proof
from agent_manager.answers import Answer
from agent_manager.records import Instance


class Forward(Struct, eq=False, kw_only=True):
    """A call of a client, until it is answered. `left` returns when the client has gone."""

    agent_id: str
    task_id: str
    headers: Headers
    body: bytes
    arrived_at: float
    left: Callable[[], Awaitable[None]]
    proof: Proof
    """Gives what proves to an instance who asks."""
    key: str | None = None
    """The idempotency key, where it is one that an adapter takes."""
    span: Span = UNTRACED
    """Of the client's request."""

    instance: Instance | None = None
    """The last one that was tried."""
    attempt: Span = UNTRACED
    """That of the last try."""
    tries: int = 0
    refusal: Answer | None = None
    """The last one, byte for byte: what the client gets when nobody takes the call."""
    failed_try: str | None = None
    """Why the last try began no work: `connect-failed`, or the refusal's code."""
    busy: bool = False
    """In this round an instance could take calls, but no more of them."""
    went_at: float | None = None
    """When an instance that the registry still counts on said in this round that it stops, or is not up yet."""
    held_until: float | None = None
    """Until when it may be held; None for a call that was not."""
    bound: bool = False
    """Its key belongs to an instance that cannot be reached now, or nobody can tell yet whether it does."""
    asked: frozenset[str] = frozenset()
    """The instances that were asked for the idempotency key."""
