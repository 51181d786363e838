"""The adapter as its handlers see it: the parts of one instance, held together."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from agent_contract.tracing import OFF, Tracing

from agent_adapter.agents.agent import Agent
from agent_adapter.config import AdapterSettings
from agent_adapter.credentials import ManagerTokens
from agent_adapter.execution import Execution
from agent_adapter.lifecycle import Lifecycle
from agent_adapter.metrics import Metrics
from agent_adapter.views import Views


@dataclass(frozen=True, slots=True)
class Adapter:
    """The parts of one instance. `clock` is monotonic, in seconds."""

    settings: AdapterSettings
    lifecycle: Lifecycle
    execution: Execution
    agent: Agent
    views: Views
    metrics: Metrics
    tokens: ManagerTokens
    clock: Callable[[], float]
    leaving: asyncio.Event
    """Set when the process goes: streams that have no end of their own end then."""
    tracing: Tracing = OFF
