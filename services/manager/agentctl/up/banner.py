"""What `agentctl up` says once all is up: where everything is, and how to call an agent."""

import shlex
from collections.abc import Mapping
from typing import Any, Final

from agentctl.connection import address
from agentctl.up.plan import Plan
from agentctl.views import Agent

_PLACES: Final = {"integer": ":=1", "number": ":=1.5", "boolean": ":=true", "array": ":='[]'", "object": ":='{}'"}
"""What stands for a value that is no text, so that the line can be typed as it is."""


def banner(plan: Plan, agents: Mapping[str, Agent] | None, seconds: float) -> str:
    """Give the block of lines; `agents` is what the manager says of them, None where it does not say."""
    url = plan.manager_url
    wide = max(len(name) for name in ("console", *(program.name for program in plan.agents)))
    lines = [
        f"up in {seconds:.1f} s, until Ctrl-C",
        f"  {'console':<{wide}}  {url}/",
        f"  {'API':<{wide}}  {url}/schema",
    ]
    for program in plan.agents:
        state = "" if agents is None else f"  {_state(agents.get(program.name))}"
        lines.append(f"  {program.name:<{wide}}  http://{program.host}:{program.port}{state}")
    if plan.agents:
        name = plan.agents[0].name
        lines.append(f"call one: {_call(name, (agents or {}).get(name), url)}")
    return "\n".join(lines)


def _state(agent: Agent | None) -> str:
    if agent is None or agent.state is None:
        return "starting"
    return f"{agent.state} ({agent.problem.code}: {agent.problem.detail})" if agent.problem else agent.state


def _call(name: str, agent: Agent | None, url: str) -> str:
    where = "" if address() == url else f"--manager {url} "
    return f"agentctl {where}execute {name}{_parameters(agent.parameters_schema if agent else None)}"


def _parameters(schema: dict[str, Any] | None) -> str:
    """Give the parameters that the schema requires, with a place for each value."""
    properties = (schema or {}).get("properties")
    required = (schema or {}).get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return " -p name=value" if schema is None else ""
    return "".join(f" -p {_parameter(str(name), properties.get(name))}" for name in required)


def _parameter(name: str, schema: Any) -> str:  # noqa: ANN401  # any JSON value
    kind = schema.get("type") if isinstance(schema, dict) else None
    return shlex.quote(name) + _PLACES.get(kind if isinstance(kind, str) else "", "='...'")
