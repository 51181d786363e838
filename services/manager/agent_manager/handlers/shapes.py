"""Answers that are made as bytes or come from an agent, as the OpenAPI document describes them."""

from typing import Any

from msgspec import Struct

from agent_manager.views import AgentView


class Fleet(Struct):
    """Every agent, and the revision that counts changes."""

    revision: int
    agents: list[AgentView]


class ExecuteAnswer(Struct, rename="camel"):
    """What became of a task; with `Prefer: respond-async` (202) only its id."""

    task_id: str
    result: Any = None
    duration_seconds: float | None = None
