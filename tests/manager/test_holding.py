"""Until when a call to an agent may be held: decided by its record and the clock alone."""

import pytest
from agent_contract.config import Agent
from agent_contract.wire import State
from agent_manager.discovery.events import Gone
from agent_manager.holding import Absences, first_beats_until, held_until
from agent_manager.records import Timing

from tests.manager.stage import Stage


class Holding(Stage):
    """A stage on which somebody asks how long calls to agent `a` may be held."""

    def __init__(self, *agents: Agent, timing: Timing | None = None) -> None:
        super().__init__(agents, timing or Timing(heartbeat_interval_seconds=5, hold_seconds=15))
        self.absences = Absences(self.registry, self.clock)
        self.clock.now += 1000  # the manager's first beats are long ago

    def seconds(self) -> float | None:
        """Give for how many seconds from now a call may be held."""
        record, timing = self.registry.find("a"), self.registry.timing
        until = held_until(record, timing, began_at=self.registry.started_at, absence=self.absences.of("a"))
        return None if until is None else until - self.clock.now


def test_nothing_is_held_while_an_instance_takes_calls() -> None:
    """One that runs and can be reached is enough."""
    stage = Holding()
    stage.register("a1")
    stage.register("a2", status="stopping")
    assert stage.seconds() is None


def test_a_call_is_held_from_when_the_last_instance_began_to_go() -> None:
    """Not from when the call came: those that come late wait less."""
    stage = Holding()
    stage.register("a1")
    stage.beat("a1", "stopping")
    stage.clock.now += 4
    assert stage.seconds() == 11


def test_the_first_of_two_to_go_begins_nothing() -> None:
    """The other one takes the calls, until it goes too."""
    stage = Holding()
    stage.register("a1")
    stage.register("a2")
    stage.beat("a1", "stopping")
    stage.clock.now += 10
    assert stage.seconds() is None
    stage.beat("a2", "stopping")
    assert stage.seconds() == 15


def test_a_call_is_held_when_the_last_instance_has_left() -> None:
    """A restart's gap: it unregistered, and its successor is not there yet."""
    stage = Holding()
    stage.register("a1")
    stage.beat("a1", "stopping")
    stage.clock.now += 1
    stage.unregister("a1")
    stage.clock.now += 1
    assert stage.seconds() == 13


def test_a_call_is_held_when_the_last_instance_is_lost() -> None:
    """A crash: nobody listens there, and somebody may start it again."""
    stage = Holding()
    stage.registry.probe_failed(stage.register("a1"), "refused", refused=True)
    assert stage.seconds() == 15


def test_a_call_is_held_while_a_newcomer_starts() -> None:
    """Counted from when it appeared, however long the agent had none before."""
    stage = Holding()
    stage.register("a1")
    stage.unregister("a1")
    stage.clock.now += 5
    stage.register("a2", status="starting")
    stage.clock.now += 2
    assert stage.seconds() == 13


def test_a_newcomer_that_goes_on_starting_does_not_begin_again() -> None:
    """Its beats change nothing about when it appeared."""
    stage = Holding()
    stage.register("a1", status="starting")
    for _ in range(3):
        stage.clock.now += 4
        stage.beat("a1", "starting", running=1)
    assert stage.seconds() == 3


def test_the_hold_is_over_when_an_instance_is_back() -> None:
    """Then calls go there; the next absence is a new one."""
    stage = Holding()
    stage.register("a1")
    stage.beat("a1", "stopping")
    stage.clock.now += 14
    stage.register("a2")
    assert stage.seconds() is None
    stage.clock.now += 14
    stage.unregister("a2")
    assert stage.seconds() == 15


@pytest.mark.parametrize("desired", ["paused", "stopped"])
def test_nothing_is_held_for_an_agent_that_was_ordered_away(desired: str) -> None:
    """After a stop or a pause nobody is coming."""
    stage = Holding()
    stage.register("a1")
    stage.beat("a1", "stopping")
    assert stage.seconds() == 15
    stage.registry.set_desired_state("a", desired, by="ada")  # type: ignore[arg-type]  # one of them
    assert stage.seconds() is None


@pytest.mark.parametrize("state", ["paused", "stopping"])
def test_nothing_is_held_for_the_last_instance_that_was_ordered_away(state: State) -> None:
    """An order to one instance leaves the agent's desired state as it is, and still nobody is coming."""
    stage = Holding()
    stage.register("a1")
    stage.absences.order("a1")
    stage.beat("a1", state)
    assert stage.seconds() is None
    if state == "stopping":
        stage.unregister("a1")
        assert stage.seconds() is None


def test_an_order_that_was_called_off_counts_no_more() -> None:
    """The instance goes on, and when it restarts later its calls are held."""
    stage = Holding()
    stage.register("a1")
    stage.absences.order("a1")
    stage.beat("a1", "stopping")
    stage.absences.call_off("a1")
    stage.beat("a1", "running")
    stage.beat("a1", "stopping")
    assert stage.seconds() == 15


def test_an_agent_paused_at_its_adapter_holds_nothing() -> None:
    """All are paused: the client gets the refusal."""
    stage = Holding()
    stage.register("a1")
    stage.beat("a1", "paused")
    assert stage.seconds() is None


def test_an_agent_that_came_up_paused_holds_nothing() -> None:
    """It never took a call here."""
    stage = Holding()
    stage.register("a1", status="paused")
    assert stage.seconds() is None


def test_a_paused_instance_beside_one_that_restarts_holds() -> None:
    """The one that took calls is coming back, also while only the paused one is there."""
    stage = Holding()
    stage.register("a1")
    stage.register("a2", status="paused")
    stage.beat("a1", "stopping")
    stage.unregister("a1")
    assert stage.seconds() == 15


def test_an_agent_that_left_long_ago_holds_nothing() -> None:
    """Fifteen seconds are over, and calls get their answer at once."""
    stage = Holding(Agent(id="a"))
    stage.register("a1")
    stage.unregister("a1")
    stage.clock.now += 16
    assert stage.seconds() == -1


def test_an_unknown_agent_is_held_in_the_manager_s_first_beats() -> None:
    """It may be one that has not found this manager yet; 1.2 intervals are enough for all that live."""
    stage = Holding()
    stage.clock.now = stage.registry.started_at + 2
    assert stage.seconds() == 4


def test_no_hold_is_longer_than_configured() -> None:
    """With long intervals the manager's first beats are cut short."""
    timing = Timing(heartbeat_interval_seconds=60, hold_seconds=7)
    assert first_beats_until(100.0, timing) == 107.0


def test_a_configured_agent_without_an_instance_is_held_in_the_first_beats_only() -> None:
    """Its port did not refuse, so it may be about to register."""
    stage = Holding(Agent(id="a", port=8100))
    stage.clock.now = stage.registry.started_at + 1
    assert stage.seconds() == 5
    stage.clock.now += 6
    assert stage.seconds() == -1


def test_a_configured_agent_whose_port_refuses_is_not_held() -> None:
    """Nobody runs there."""
    stage = Holding(Agent(id="a", port=8100))
    stage.clock.now = stage.registry.started_at + 1
    stage.registry.apply(Gone(source="static", agent_id="a"))
    assert stage.seconds() is None
