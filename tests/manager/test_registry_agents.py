"""Agents as the sum of what is known of them: the file, an operator, their instances."""

import pytest
from agent_contract.config import Agent
from agent_contract.problems import Problem
from agent_contract.wire import State

from tests.manager.stage import Stage

URL = "http://127.0.0.1:8100"


@pytest.fixture
def stage() -> Stage:
    """Give a registry that knows nobody."""
    return Stage()


def refused(code: str) -> "pytest.RaisesExc[Problem]":
    """Expect a problem with this code."""
    return pytest.raises(Problem, check=lambda problem: problem.code == code)


def test_state_of_an_agent_is_the_sum_of_its_instances(stage: Stage) -> None:
    """`running` if any runs, else `paused`, else `stopping`, else `starting`, else `stopped`."""
    stage.register("a1", status="starting")
    assert stage.agent("a").state == "starting"
    states: tuple[State, ...] = ("stopping", "paused", "running")
    for number, state in enumerate(states, start=2):
        stage.register(f"a{number}", status=state)
        assert stage.agent("a").state == state
    for instance_id in stage.ids():
        stage.unregister(instance_id)
    assert stage.agent("a").state == "stopped"


def test_configured_agents_are_always_listed() -> None:
    """An agent of the file is known from the start and for ever, `stopped` while nothing of it is there."""
    stage = Stage([Agent(id="a", name="A", description="does a", parameters_schema={"type": "object"})])
    record = stage.agent("a")
    assert (record.state, record.sources, record.name, record.description) == (
        "stopped",
        ["configuration"],
        "A",
        "does a",
    )
    stage.register("a1", metadata={"name": "said", "parametersSchema": {"type": "null"}})
    assert (record.name, record.parameters_schema) == ("A", {"type": "object"})
    assert record.sources == ["configuration", "registration"]
    stage.unregister("a1")
    stage.pass_time(1000)
    assert stage.registry.find("a") is record


def test_agent_known_by_registration_stays_listed_for_a_ttl(stage: Stage) -> None:
    """It is `stopped` for the longer of hold time and TTL after its last instance left, then gone with a change."""
    stage.pass_time(31)  # the grace after the manager's own start
    stage.register("a1")
    stage.unregister("a1")
    stage.pass_time(29.75)
    assert stage.agent("a").state == "stopped"
    stage.changes.clear()
    stage.pass_time(0.25)
    assert stage.registry.find("a") is None
    assert stage.changes == ["a"]


def test_agent_that_comes_back_in_time_stays_itself(stage: Stage) -> None:
    """A new instance ends the countdown of its agent."""
    stage.register("a1")
    stage.unregister("a1")
    stage.pass_time(20)
    record = stage.agent("a")
    stage.register("a2")
    stage.pass_time(100, "a2")
    assert stage.registry.find("a") is record


def test_registration_describes_agent_and_instance(stage: Stage) -> None:
    """What the metadata says is shown; a member of an unexpected type says nothing."""
    metadata = {
        "name": "A",
        "description": "does a",
        "version": "1.2",
        "adapterVersion": "0.1",
        "startedAt": "2026-01-01T00:00:00Z",
        "maxConcurrency": "four",
        "parametersSchema": {"type": "object"},
        "anything": [1],
    }
    instance = stage.register("a1", metadata=metadata)
    record = stage.agent("a")
    assert (record.name, record.description, record.parameters_schema) == ("A", "does a", {"type": "object"})
    assert (instance.version, instance.adapter_version, instance.max_concurrency) == ("1.2", "0.1", None)
    assert instance.started_at is not None
    assert instance.started_at.year == 2026


def test_metadata_is_bounded(stage: Stage) -> None:
    """More than 64 KiB of metadata, or a nesting that cannot be written, is 400 and changes nothing."""
    with refused("bad-request"):
        stage.register("a1", metadata={"labels": "x" * 70_000})
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with refused("bad-request"):
        stage.register("a1", metadata=deep)
    assert stage.registry.find("a") is None
