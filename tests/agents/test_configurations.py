"""The configuration files that come with the project: valid, and true."""

from pathlib import Path

import pytest
from agent_contract.loading import load_file

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "agents"),
    [
        ("agents.config.json", {"planner": 8100, "executor": 8101, "retriever": 8102}),
        ("any-language.config.json", {"outline": 8103}),
    ],
)
def test_a_shipped_configuration_is_valid(name: str, agents: dict[str, int]) -> None:
    """Each agent is on the port that the docs name, and says what it is for."""
    configuration = load_file(ROOT / "config" / name)
    assert {agent.id: agent.port for agent in configuration.agents} == agents
    assert all(agent.description and agent.version for agent in configuration.agents)


def test_the_default_agents_need_nothing_but_python() -> None:
    """Where node is absent `make up` still brings up every agent of the default file."""
    assert not any(agent.command for agent in load_file(ROOT / "config" / "agents.config.json").agents)


def test_a_command_names_a_program_of_ours_that_is_there() -> None:
    """It runs with the checkout as its working directory."""
    (outline,) = load_file(ROOT / "config" / "any-language.config.json").agents
    assert outline.command
    assert (ROOT / outline.command[1]).is_file()
