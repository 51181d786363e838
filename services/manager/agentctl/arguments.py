"""The arguments that many commands share: ids of agents and tasks, durations."""

from typing import Any

import click
from agent_contract.durations import parse_duration
from agent_contract.identity import is_agent_id


class AgentIdType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """An agent's id, checked before anything is asked; the shell completes those that the manager knows."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401  # click's
        """Give the id; fails for a text that no agent can have."""
        if not is_agent_id(value):
            self.fail(f"{value!r} is not an agent id: lower case letters, digits and dashes", param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Give the ids that begin so; an absent manager completes nothing."""
        from agentctl.completion import agent_ids  # noqa: PLC0415  # only the shell's completion needs it

        del param
        return agent_ids(ctx, incomplete)


class TaskIdType(click.ParamType):  # type: ignore[type-arg]  # the same
    """A task's id, of any form; the shell completes those that the manager knows."""

    name = "task"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Give the ids that begin so; an absent manager completes nothing."""
        from agentctl.completion import task_ids  # noqa: PLC0415  # only the shell's completion needs it

        del param
        return task_ids(ctx, incomplete)


class DurationType(click.ParamType):  # type: ignore[type-arg]  # the same
    """A duration: seconds, or `90s`, `5m`, `1h30m`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401  # click's
        """Give the seconds; fails for a text that is no duration."""
        if isinstance(value, float):
            return value
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


AGENT_ID = AgentIdType()
TASK_ID = TaskIdType()
DURATION = DurationType()
