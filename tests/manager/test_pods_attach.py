"""Which process is in which pod: whichever is known first, whatever comes in its place."""

import pytest
from agent_contract.config import Agent

from tests.manager.pod_stage import PodStage, url_in

IP, OTHER = "10.1.0.1", "10.1.0.2"


@pytest.fixture
def stage() -> PodStage:
    """Give a registry that knows nobody."""
    return PodStage()


def test_registration_at_the_address_of_a_pod_is_the_process_in_it(stage: PodStage) -> None:
    """From then on the pod decides, and is shown no more as an instance of its own."""
    stage.pod("p1", IP)
    assert (stage.bare(), stage.agent("a").state) == (["p1"], "starting")
    instance = stage.register("a1", url_in(IP))
    assert (stage.pod_of("a1"), stage.bare()) == ("p1", [])
    assert (instance.source, instance.sources) == ("kubernetes", {"kubernetes", "registration"})
    assert stage.agent("a").sources == ["kubernetes", "registration"]


def test_pod_that_is_seen_later_takes_in_the_process_that_registered(stage: PodStage) -> None:
    """A process may be faster than the watch."""
    stage.register("a1", url_in(IP))
    stage.pod("p1", IP)
    assert (stage.pod_of("a1"), stage.bare()) == ("p1", [])


def test_pod_that_gets_its_address_later_takes_in_its_process(stage: PodStage) -> None:
    """It is known from when it was scheduled."""
    stage.pod("p1")
    stage.register("a1", url_in(IP))
    assert (stage.pod_of("a1"), stage.bare()) == (None, ["p1"])
    stage.pod("p1", IP)
    assert (stage.pod_of("a1"), stage.bare()) == ("p1", [])


def test_port_of_the_service_url_may_be_another_one(stage: PodStage) -> None:
    """The address alone tells, where one pod has it."""
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP, 9000))
    assert stage.pod_of("a1") == "p1"


def test_address_of_another_agents_pod_is_no_place_for_it(stage: PodStage) -> None:
    """A pod is of the agent that its label names."""
    stage.pod("p1", IP, agent_id="b")
    stage.register("a1", url_in(IP))
    assert (stage.pod_of("a1"), stage.bare("b")) == (None, ["p1"])


def test_pods_that_share_an_address_are_told_apart_by_their_ports(stage: PodStage) -> None:
    """Those that use their node's network."""
    stage.pod("p1", IP, port=8100)
    stage.pod("p2", IP, port=8101)
    stage.register("a1", url_in(IP, 8101))
    stage.register("a2", url_in(IP, 8100))
    assert (stage.pod_of("a1"), stage.pod_of("a2")) == ("p2", "p1")


def test_nobody_guesses_in_which_of_two_pods_a_process_is(stage: PodStage) -> None:
    """It would go with a pod that is not its own; when one pod is left, it is clear."""
    stage.pod("p1", IP, port=8100)
    stage.pod("p2", IP, port=8101)
    stage.register("a1", url_in(IP, 9000))
    assert stage.pod_of("a1") is None
    stage.pod_gone("p1")
    assert stage.pod_of("a1") == "p2"


def test_new_life_in_a_pod_replaces_the_old_one(stage: PodStage) -> None:
    """A container that was restarted, or an adapter that replaced itself."""
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP))
    stage.register("a2", url_in(IP))
    assert (stage.ids(), stage.pod_of("a2"), stage.bare()) == (["a2"], "p1", [])
    assert stage.registry.is_stale("a1")


def test_second_process_in_a_pod_is_an_ordinary_instance(stage: PodStage) -> None:
    """A pod is one place; the other one has it when the first has left."""
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP))
    stage.register("a2", url_in(IP, 9000))
    assert (stage.pod_of("a1"), stage.pod_of("a2")) == ("p1", None)
    stage.unregister("a1")
    assert (stage.pod_of("a2"), stage.bare()) == ("p1", [])


def test_second_process_has_the_place_of_one_that_another_agent_replaced(stage: PodStage) -> None:
    """The newcomer is at the old one's address, and in no pod of its own."""
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP))
    stage.register("a2", url_in(IP, 9000))
    stage.register("b1", url_in(IP))
    assert (stage.ids(), stage.pod_of("a2"), stage.pod_of("b1")) == (["a2", "b1"], "p1", None)


def test_second_process_has_the_place_of_one_that_fell_silent(stage: PodStage) -> None:
    """A container that listens at another port in each of its lives leaves no ghost."""
    stage.pass_time(31)
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP, 9001))
    stage.register("a2", url_in(IP, 9002))
    stage.pass_time(30, "a2")
    assert (stage.ids(), stage.pod_of("a2")) == (["a2"], "p1")


def test_pod_takes_in_the_process_at_its_own_port(stage: PodStage) -> None:
    """Of two that were there before it was told of; whoever comes in the place of that one has it next."""
    stage.register("a1", url_in(IP))
    stage.register("a2", url_in(IP, 9000))
    stage.pod("p1", IP)
    assert (stage.pod_of("a1"), stage.pod_of("a2")) == ("p1", None)
    stage.register("a3", url_in(IP))
    assert (stage.pod_of("a3"), stage.pod_of("a2")) == ("p1", None)


def test_registering_again_changes_nothing(stage: PodStage) -> None:
    """An adapter does so whenever a manager does not know it."""
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP))
    stage.register("a1", url_in(IP))
    assert (stage.pod_of("a1"), stage.bare(), len(stage.ids())) == ("p1", [], 1)


def test_pod_of_another_agent_now_is_another_pod(stage: PodStage) -> None:
    """Somebody changed its label: its process is gone for this agent."""
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP))
    stage.pod("p1", IP, agent_id="b")
    assert (stage.ids(), stage.agent("a").pods, stage.bare("b")) == ([], {}, ["p1"])


# --- pods that were asked ---------------------------------------------------------------------------------------------


def test_process_that_answers_in_a_pod_is_known_without_registering(stage: PodStage) -> None:
    """Its manager may be another one, or none."""
    stage.pod("p1", IP)
    stage.answers_in("p1", "a1", IP)
    assert (stage.pod_of("a1"), stage.bare(), stage["a1"].source) == ("p1", [], "kubernetes")
    assert stage.registry.pick("a") is stage["a1"]


def test_process_that_registered_at_another_address_of_its_pod_is_found_there(stage: PodStage) -> None:
    """A pod may have an address of each family; the registered URL stays."""
    stage.pod("p1", IP)
    stage.register("a1", "http://[fd00::1]:8100")
    assert stage.pod_of("a1") is None
    stage.answers_in("p1", "a1", IP)
    assert (stage.pod_of("a1"), stage["a1"].service_url) == ("p1", "http://[fd00::1]:8100")


def test_answer_from_a_pod_that_is_gone_is_nothing(stage: PodStage) -> None:
    """It was asked before the pod went."""
    stage.pod("p1", IP)
    stage.pod_gone("p1")
    stage.answers_in("p1", "a1", IP)
    assert stage.ids() == []


def test_answer_of_another_agent_in_a_pod_is_nothing(stage: PodStage) -> None:
    """Its label and its process disagree: nobody is called there."""
    stage.pod("p1", IP, agent_id="b")
    stage.answers_in("p1", "a1", IP)
    assert (stage.ids(), stage.bare("b")) == ([], ["p1"])


@pytest.mark.parametrize("status", ["stopping", "stopped"])
def test_newcomer_on_its_way_out_is_no_find(stage: PodStage, status: str) -> None:
    """It has just unregistered, and is asked before it has left."""
    stage.pod("p1", IP)
    stage.answers_in("p1", "a1", IP, status=status)  # type: ignore[arg-type]  # one of the states
    assert stage.ids() == []


def test_answer_that_comes_after_another_process_registered_is_nothing(stage: PodStage) -> None:
    """The pod has its process, at a port of its own."""
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP, 9000))
    stage.answers_in("p1", "a2", IP)
    assert (stage.ids(), stage.pod_of("a1")) == (["a1"], "p1")


def test_answer_of_a_known_process_in_the_pod_of_another_is_nothing(stage: PodStage) -> None:
    """One of the two is over: the next probe tells which."""
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP))
    stage.register("a2", "http://[fd00::1]:8100")
    stage.answers_in("p1", "a2", IP)
    assert (stage.pod_of("a1"), stage.pod_of("a2")) == ("p1", None)
    stage.registry.found_other_life(stage["a1"])
    stage.answers_in("p1", "a2", IP)
    assert stage.pod_of("a2") == "p1"


def test_answer_from_an_address_that_the_pod_had_before_is_nothing(stage: PodStage) -> None:
    """Its sandbox was made anew meanwhile."""
    stage.pod("p1", IP)
    stage.pod("p1", OTHER)
    stage.answers_in("p1", "a1", IP)
    assert stage.ids() == []


def test_other_life_that_answers_in_the_pod_replaces_the_one_that_was_there(stage: PodStage) -> None:
    """It answers at the very address of the old one."""
    stage.pod("p1", IP)
    stage.answers_in("p1", "a1", IP)
    stage.answers_in("p1", "a2", IP)
    assert (stage.ids(), stage.pod_of("a2"), stage.bare()) == (["a2"], "p1", [])


# --- an address that another pod gets ---------------------------------------------------------------------------------


def test_pod_with_the_address_of_a_dead_one_does_not_inherit_its_process(stage: PodStage) -> None:
    """Whichever of the two is told of first."""
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP))
    stage.pod("p2", IP)
    assert (stage.pod_of("a1"), stage.bare()) == ("p1", ["p2"])
    stage.pod_gone("p1")
    assert (stage.ids(), stage.bare()) == ([], ["p2"])


def test_late_word_from_a_dead_pod_is_not_taken_for_its_successor(stage: PodStage) -> None:
    """It is an ordinary instance for as long as anybody would be who says nothing more."""
    stage.pass_time(31)
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP))
    stage.pod_gone("p1")
    stage.register("a1", url_in(IP))
    assert stage["a1"].source == "registration"
    stage.pod("p2", IP)
    assert (stage.pod_of("a1"), stage.bare()) == (None, ["p2"])
    stage.pass_time(30)
    assert stage.ids() == []


def test_process_of_the_successor_is_taken_for_its_own_pod(stage: PodStage) -> None:
    """Though the dead one is still told of: it is leaving, or older."""
    stage.pod("p1", IP, leaving=True)
    stage.register("a1", url_in(IP))
    stage.pod("p2", IP)
    stage.register("a2", url_in(IP))
    assert (stage.pod_of("a2"), stage["a2"].state) == ("p2", "running")


def test_pod_that_is_told_of_again_has_its_process_again(stage: PodStage) -> None:
    """Its label was taken away and given back: it is the very same pod."""
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP))
    stage.pod_gone("p1")
    stage.register("a1", url_in(IP))
    stage.pod("p1", IP)
    assert stage.pod_of("a1") == "p1"


def test_process_does_not_outlive_the_sandbox_of_its_pod(stage: PodStage) -> None:
    """A pod with another address was made anew on its node: nothing of before runs."""
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP))
    stage.pod("p1", OTHER)
    assert (stage.ids(), stage.bare()) == ([], ["p1"])
    stage.register("a2", url_in(OTHER))
    assert stage.pod_of("a2") == "p1"


def test_pod_whose_address_is_not_told_for_a_moment_keeps_its_process(stage: PodStage) -> None:
    """That is no word on its process."""
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP))
    stage.pod("p1")
    stage.pod("p1", IP)
    assert stage.pod_of("a1") == "p1"


def test_restarts_are_not_those_of_who_had_the_address_before(stage: PodStage) -> None:
    """Each pod counts for itself."""
    for number in range(1, 4):
        stage.pod(f"p{number}", IP)
        assert stage.register(f"a{number}", url_in(IP)).restarts == 0
        stage.pod_gone(f"p{number}")


def test_pods_of_the_file_are_those_of_the_cluster_too() -> None:
    """An agent may be configured and have pods: it is one agent."""
    stage = PodStage([Agent(id="a")])
    stage.pod("p1", IP)
    assert stage.agent("a").sources == ["configuration", "kubernetes"]
