"""Passing an order on to the manager that acts, as its client sent it: that one checks the same credentials again.

Where the holder is comes from the Lease, never from a request. What was passed on once is not passed on again: two
managers that each take the other for the holder would do so for ever.
"""

from collections.abc import Iterable
from typing import Final

from agent_contract.problems import Problem
from msgspec import Struct, structs

from agent_manager.agent_client import AgentClient, CallError, ConnectFailed, Origin, Response
from agent_manager.leadership import Leadership, no_leader

PASSED_ON: Final = b"x-agent-manager-passed-on"
"""Says that another manager sent the request. A client that says so itself only has it handled where it arrives."""
ORDER_SECONDS: Final = 30.0
"""For an order: its instances have 5 s to answer, and the cluster 4 s for each of a few writes."""
LOOK_SECONDS: Final = 5.0
"""For a look at an action."""
_CROSSING: Final = frozenset(
    (
        b"accept",
        b"authorization",
        b"baggage",
        b"content-type",
        b"cookie",
        b"traceparent",
        b"tracestate",
        b"x-requested-with",
    )
)
"""What the holder needs to judge the request itself. `Origin` stays here: it was held against this manager's name."""

Headers = Iterable[tuple[bytes, bytes]]


class Passed(Struct, frozen=True):
    """A request as its client sent it."""

    method: str
    target: str
    """Path and query, as they came."""
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""


class HolderLink:
    """Asks the manager that holds the lease."""

    def __init__(self, leadership: Leadership, client: AgentClient, name: str | None = None) -> None:
        """Take what the holder's certificate must name in the place of its address, where TLS is spoken."""
        self._leadership = leadership
        self._client = client
        self._name = name

    async def order(self, request: Passed, *, anywhere: bool) -> Response | None:
        """Give the holder's answer to an order; None: carry it out here, for there is nobody else to do it.

        `anywhere`: any manager may do it, and it does no harm twice. So it is done here where the holder is silent.

        Raises:
            Problem: 503 `no-leader` where the holder cannot be reached, 502 `outcome-unknown` where it was and did not
                answer.

        """
        origin = self._elsewhere(request.headers)
        if origin is None:
            return None
        try:
            return await self._send(origin, request, ORDER_SECONDS)
        except ConnectFailed as error:
            if anywhere:
                return None
            raise no_leader(self._leadership, str(error)) from error
        except CallError as error:
            if anywhere:
                return None
            detail = f"the manager that acts got the order and did not answer ({error}): see the agent's actions"
            raise Problem("outcome-unknown", detail, outcome="unknown") from error

    async def look(self, request: Passed) -> Response | None:
        """Give the holder's answer to a question; None where there is no other holder, or it is silent."""
        origin = self._elsewhere(request.headers)
        if origin is None:
            return None
        try:
            return await self._send(origin, request, LOOK_SECONDS)
        except CallError:
            return None

    def _elsewhere(self, headers: Headers) -> Origin | None:
        """Give where the holder is; None where this manager is it, nobody is, or a manager sent this here already."""
        if self._leadership.is_leader or any(name == PASSED_ON for name, _ in headers):
            return None
        holder = self._leadership.holder
        origin = None if holder is None else holder.origin
        return structs.replace(origin, name=self._name) if origin is not None and origin.tls else origin

    async def _send(self, origin: Origin, request: Passed, timeout_seconds: float) -> Response:
        headers = [header for header in request.headers if header[0] in _CROSSING]
        headers.append((PASSED_ON, b"1"))
        return await self._client.request(
            origin, request.method, request.target, headers, request.body, timeout_seconds=timeout_seconds
        )
