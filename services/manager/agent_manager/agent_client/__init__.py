"""The manager's outgoing side: requests to instances over a keep-alive pool per origin, on asyncio and httptools.

This is the hot path of every forwarded call: one write a request, one future, no task, no copy that can be spared. It
follows no redirect, reads no proxy from the environment, decompresses nothing, and never repeats a request: whether
that is safe only the caller can tell, by the error (after `ConnectFailed` nothing was sent).
"""

from agent_manager.agent_client.call import Call
from agent_manager.agent_client.client import AgentClient
from agent_manager.agent_client.origin import Origin
from agent_manager.agent_client.response import (
    BadResponse,
    CallError,
    CallTimedOut,
    Chunks,
    ConnectFailed,
    ConnectionLost,
    Response,
)

__all__ = [
    "AgentClient",
    "BadResponse",
    "Call",
    "CallError",
    "CallTimedOut",
    "Chunks",
    "ConnectFailed",
    "ConnectionLost",
    "Origin",
    "Response",
]
