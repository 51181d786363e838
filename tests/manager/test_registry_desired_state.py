"""What an operator last ordered for an agent: who keeps it, who brings it back, what ends it."""

import pytest
from agent_contract.config import Agent
from agent_contract.wire import State

from tests.manager.stage import Stage


@pytest.fixture
def stage() -> Stage:
    """Give a registry that knows nobody."""
    return Stage()


def test_nothing_ordered_is_running(stage: Stage) -> None:
    """An agent is to run unless somebody said otherwise."""
    stage.register("a1")
    assert (stage.agent("a").desired_state, stage.agent("a").ordered) == ("running", False)


def test_order_is_kept_and_told(stage: Stage) -> None:
    """An order is visible at once, and the journal says who gave it."""
    stage.register("a1")
    stage.changes.clear()
    stage.registry.set_desired_state("a", "paused", by="ops")
    assert (stage.agent("a").desired_state, stage.agent("a").ordered) == ("paused", True)
    assert stage.changes == ["a"]
    assert stage.journal.codes[-1] == "desired-paused"


def test_paused_outlives_its_instances(stage: Stage) -> None:
    """A new instance of a paused agent meets the order, also when the agent was not listed for a while."""
    stage.register("a1")
    stage.registry.set_desired_state("a", "paused", by=None)
    stage.unregister("a1")
    stage.pass_time(1000)
    assert stage.registry.find("a") is None
    stage.register("a2", status="starting")
    assert (stage.agent("a").desired_state, stage.agent("a").ordered) == ("paused", True)


def test_stopped_ends_when_an_instance_appears(stage: Stage) -> None:
    """Somebody started it by other means than ours: then it is to run."""
    stage.register("a1")
    stage.registry.set_desired_state("a", "stopped", by=None)
    stage.beat("a1", "stopping")
    stage.unregister("a1")
    assert stage.agent("a").desired_state == "stopped"
    stage.register("a2", status="starting")
    assert (stage.agent("a").desired_state, stage.agent("a").ordered) == ("running", False)
    assert "desired-running" in stage.journal.codes


def test_stopped_ends_when_discovery_finds_an_instance() -> None:
    """Also one that never registers."""
    stage = Stage([Agent(id="a", port=8100)])
    stage.registry.set_desired_state("a", "stopped", by=None)
    stage.see("a1")
    assert stage.agent("a").desired_state == "running"


@pytest.mark.parametrize("state", ["stopping", "stopped"])
def test_instance_on_its_way_out_does_not_end_stopped(stage: Stage, state: State) -> None:
    """One that this manager lost and that registers again during its drain is no new one."""
    stage.register("a1")
    stage.registry.set_desired_state("a", "stopped", by=None)
    stage.unregister("a1")
    stage.register("a1", status=state)
    assert stage.agent("a").desired_state == "stopped"


def test_known_instances_do_not_end_stopped(stage: Stage) -> None:
    """What was there at the order beats and registers on until it has gone."""
    stage.register("a1")
    stage.registry.set_desired_state("a", "stopped", by=None)
    stage.beat("a1")
    stage.register("a1")
    assert stage.agent("a").desired_state == "stopped"


def test_manager_without_an_order_adopts_paused(stage: Stage) -> None:
    """A manager that was restarted learns from the adapters that the agent is paused."""
    stage.register("a1", status="paused", desired="paused")
    assert (stage.agent("a").desired_state, stage.agent("a").ordered) == ("paused", False)
    stage.register("a2", desired="running")
    assert stage.agent("a").desired_state == "paused"


@pytest.mark.parametrize("told", ["running", "stopped", None])
def test_nothing_but_paused_is_adopted(stage: Stage, told: str | None) -> None:
    """No answer ever resumes or stops."""
    stage.register("a1", desired=told)  # type: ignore[arg-type]  # one of the states
    assert stage.agent("a").desired_state == "running"


def test_own_order_is_not_overridden_by_what_an_adapter_says(stage: Stage) -> None:
    """What was told to an adapter elsewhere is older than an order given here."""
    stage.register("a1")
    stage.registry.set_desired_state("a", "running", by=None)
    stage.register("a2", desired="paused")
    assert stage.agent("a").desired_state == "running"
