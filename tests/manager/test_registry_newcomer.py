"""What is believed of an instance that does not say how it is."""

from agent_contract.wire import Registration
from agent_manager.agent_client import Origin

from tests.manager.stage import Stage

URL = "http://127.0.0.1:8100"


def test_one_that_registers_without_a_state_is_called() -> None:
    """An adapter that is not up yet refuses, which costs nothing; waiting for its first beat would cost its callers."""
    stage = Stage()
    instance = stage.registry.register(Registration("a", URL, "a1"), Origin.parse(URL))
    assert (instance.state, instance.routable) == ("running", True)


def test_registering_again_without_a_state_changes_none() -> None:
    """A known instance keeps the state that it last said."""
    stage = Stage()
    stage.registry.register(Registration("a", URL, "a1", status="paused"), Origin.parse(URL))
    assert stage.registry.register(Registration("a", URL, "a1"), Origin.parse(URL)).state == "paused"
