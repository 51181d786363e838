"""What a pod decides of its process: that it exists, that it stops, that it is gone."""

import pytest
from agent_contract.config import Agent
from agent_manager.departures import Departure
from agent_manager.discovery.events import Gone, Listed
from agent_manager.holding import Absences, held_until

from tests.manager.pod_stage import PodStage, url_in
from tests.manager.stage import TIMING, drain, report

IP = "10.1.0.1"


@pytest.fixture
def stage() -> PodStage:
    """Give a registry that has been there for a while, and a pod with its process."""
    stage = PodStage()
    stage.pass_time(31)
    stage.pod("p1", IP)
    stage.register("a1", url_in(IP))
    return stage


def last(stage: PodStage) -> Departure:
    """Give the last departure."""
    return stage.departures[-1]


# --- silence ----------------------------------------------------------------------------------------------------------


def test_silent_process_is_not_called_and_stays_while_its_pod_is_there(stage: PodStage) -> None:
    """The pod says that it exists; this manager, that it does not reach it."""
    stage.pass_time(29.75)
    assert stage["a1"].routable
    stage.pass_time(0.25)
    assert (stage["a1"].reachable, stage["a1"].routable) == (False, False)
    problem = stage.agent("a").problem
    assert problem is not None
    assert (problem.code, problem.detail) == ("unreachable", "not heard of for 30 s, and its pod is there")
    stage.pass_time(1000)
    assert stage.ids() == ["a1"]
    assert stage.journal.codes.count("unreachable") == 1


def test_silent_process_that_answers_again_is_called_again(stage: PodStage) -> None:
    """A probe is what proves the way to it; the next silence is another one."""
    stage.pass_time(30)
    stage.beat("a1")
    assert not stage["a1"].routable
    stage.answer("a1")
    assert stage["a1"].routable
    stage.pass_time(30)
    assert not stage["a1"].routable


def test_silence_in_pods_is_no_mass_loss(stage: PodStage) -> None:
    """Their platform still sees them: they are on neither side of the guard."""
    for number in range(2, 8):
        stage.pod(f"p{number}", f"10.1.0.{number}")
        stage.register(f"a{number}", url_in(f"10.1.0.{number}"))
    for number in range(1, 4):
        stage.register(f"b{number}")
    stage.pass_time(30, "b1", "b2")  # one of three without a pod is a third, though one of ten is a tenth
    assert stage.registry.lost == 0
    assert sorted(stage.ids()) == sorted([*(f"a{number}" for number in range(1, 8)), "b1", "b2"])
    assert [departure.reason for departure in stage.departures] == ["expired"]


def test_lost_instance_whose_pod_is_seen_is_lost_no_more(stage: PodStage) -> None:
    """It is unreachable, and there; a refused probe does not take it away."""
    for number in range(1, 6):
        stage.register(f"b{number}", f"http://10.3.0.{number}:8100")
    stage.pass_time(30)
    assert stage.registry.lost == 5
    stage.pod("p9", "10.3.0.1", agent_id="b")
    assert (stage.registry.lost, list(stage["b1"].observed)) == (4, ["unreachable"])
    stage.registry.probe_failed(stage["b1"], "refused", refused=True)
    stage.pass_time(151)
    assert stage.ids() == ["a1", "b1"]


def test_process_that_runs_in_a_pod_is_not_withdrawn_by_other_sources() -> None:
    """A source only takes away what it brought."""
    stage = PodStage([Agent(id="a", port=8100)])
    stage.pod("p1", IP)
    stage.see("a1", url_in(IP))
    stage.answers_in("p1", "a1", IP)
    assert stage["a1"].sources == {"static", "kubernetes"}
    stage.registry.apply(Gone(source="static", agent_id="a"))
    stage.registry.apply(Listed(source="static", instance_ids=frozenset()))
    assert (stage.pod_of("a1"), stage["a1"].sources) == ("p1", {"kubernetes"})


def test_list_of_the_platform_takes_nothing_away(stage: PodStage) -> None:
    """It says of each pod that it is gone; that it has told everything is noted."""
    stage.registry.apply(Listed(source="kubernetes", instance_ids=None))
    stage.registry.apply(Gone(source="kubernetes", agent_id="a"))
    assert (stage.pod_of("a1"), stage["a1"].source) == ("p1", "kubernetes")
    assert stage.registry.listed_at["kubernetes"] == stage.clock.now


def test_process_is_over_when_nothing_runs_in_its_pod_and_nobody_answers(stage: PodStage) -> None:
    """Its container waits for its next start: the pod is `starting`, and not what a dead process said last."""
    stage.registry.probe_failed(stage["a1"], "refused", refused=True)
    assert stage.ids() == ["a1"]
    stage.pod("p1", IP, running=False, restarts=1)
    assert (stage.ids(), stage.bare(), stage.agent("a").state) == ([], ["p1"], "starting")
    assert stage.journal.messages[-1] == "a1 left: its process in pod a-p1 has ended"
    stage.register("a2", url_in(IP))
    assert (stage.pod_of("a2"), stage["a2"].restarts) == ("p1", 1)


def test_process_is_not_over_by_one_word_alone(stage: PodStage) -> None:
    """What the kubelet says of its container may be of the life before; then nobody answers there either."""
    stage.pod("p1", IP, running=False)
    assert stage["a1"].routable
    stage.registry.probe_failed(stage["a1"], "refused", refused=True)
    assert (stage.ids(), stage.bare()) == ([], ["p1"])


def test_process_of_a_leaving_pod_is_there_until_the_pod_is_gone(stage: PodStage) -> None:
    """Its last word may be on its way."""
    stage.pod("p1", IP, leaving=True, running=False)
    stage.registry.probe_failed(stage["a1"], "refused", refused=True)
    assert stage.ids() == ["a1"]


# --- leaving ----------------------------------------------------------------------------------------------------------


def test_pod_that_is_being_deleted_ends_routing_at_once(stage: PodStage) -> None:
    """Whatever its adapter says: it has not got the signal yet, or its beats are late."""
    assert stage.registry.pick("a") is stage["a1"]
    stage.pod("p1", IP, leaving=True)
    assert stage.registry.pick("a") is None
    assert (stage["a1"].state, stage["a1"].said_state, stage.agent("a").state) == ("stopping", "running", "stopping")
    stage.beat("a1", "running")
    stage.answer("a1", "running")
    stage.register("a1", url_in(IP))
    assert stage["a1"].state == "stopping"
    assert stage.journal.messages[-1] == "a1 was running and is stopping: pod a-p1 is being deleted"
    assert stage.journal.codes.count("stopping") == 1


def test_deletion_is_never_called_off(stage: PodStage) -> None:
    """What is told of late does not bring a pod back."""
    stage.pod("p1", IP, leaving=True)
    stage.pod("p1", IP, leaving=False, restarts=1)
    assert (stage["a1"].state, stage.agent("a").pods["p1"].restarts) == ("stopping", 1)


def test_process_that_comes_to_a_leaving_pod_is_stopping(stage: PodStage) -> None:
    """A manager that was restarted hears of it during its drain."""
    stage.pod("p2", "10.1.0.2", leaving=True)
    stage.register("a2", url_in("10.1.0.2"))
    assert (stage["a2"].state, stage["a2"].routable) == ("stopping", False)


def test_leaving_pod_whose_address_comes_late_stops_its_process(stage: PodStage) -> None:
    """It registered before its pod was told of."""
    stage.register("a2", url_in("10.1.0.2"))
    stage.pod("p2", "10.1.0.2", leaving=True)
    assert stage["a2"].state == "stopping"
    assert stage.journal.messages[-1] == "a2 was running and is stopping: pod a-p2 is being deleted"


def test_pod_without_a_process_that_is_being_deleted_is_told_of(stage: PodStage) -> None:
    """It was never up."""
    stage.pod("p2")
    stage.pod("p2", leaving=True)
    assert stage.journal.messages[-1] == "a-p2 is being deleted: no process was known in it"
    assert stage.agent("a").bare_pods["p2"].state == "stopping"


def test_calls_are_held_when_the_last_pod_begins_to_leave(stage: PodStage) -> None:
    """As after a signal: another one is on its way."""
    absences = Absences(stage.registry, stage.clock)

    def held_for() -> float | None:
        began = stage.registry.started_at
        until = held_until(stage.agent("a"), TIMING, began_at=began, absence=absences.of("a"))
        return None if until is None else until - stage.clock.now

    stage.beat("a1", running=1)
    stage.pod("p1", IP, leaving=True)
    assert held_for() == 15
    stage.clock.now += 10
    stage.pod("p2")
    assert held_for() == 15, "a pod that is to be is one that is starting"
    stage.clock.now += 10
    stage.pod("p2", "10.1.0.2")
    assert held_for() == 5, "and it goes on starting"
    stage.registry.set_desired_state("a", "stopped", by=None)
    assert held_for() is None


def test_calls_are_held_where_one_is_paused_and_a_pod_goes() -> None:
    """A manager that has just come does not know whether the pod's process took calls."""
    stage = PodStage()
    absences = Absences(stage.registry, stage.clock)
    stage.register("a1", status="paused")
    assert held_until(stage.agent("a"), TIMING, began_at=1000, absence=absences.of("a")) is None
    stage.pod("p1", leaving=True)
    assert held_until(stage.agent("a"), TIMING, began_at=1000, absence=absences.of("a")) == 1015


def test_calls_are_held_for_an_agent_that_was_scaled_up() -> None:
    """Its first pod is not even made; one that is scaled to 0 is not waited for."""
    stage = PodStage()
    stage.pass_time(31)
    absences = Absences(stage.registry, stage.clock)
    stage.workload(replicas=0)
    assert held_until(stage.agent("a"), TIMING, began_at=1000, absence=absences.of("a")) == 1006
    stage.workload(replicas=2)
    assert held_until(stage.agent("a"), TIMING, began_at=1000, absence=absences.of("a")) == stage.clock.now + 15


# --- gone -------------------------------------------------------------------------------------------------------------


def test_pod_that_is_gone_takes_its_process_with_it(stage: PodStage) -> None:
    """Also one that registered, and that beat a moment ago."""
    stage.beat("a1")
    stage.pod_gone("p1")
    assert (stage.ids(), stage.agent("a").pods, stage.agent("a").state) == ([], {}, "stopped")
    assert (last(stage).reason, last(stage).drain_lost) == ("withdrawn", False)
    assert stage.journal.messages[-1] == "a1 left: its pod a-p1 is gone"


def test_drain_that_ended_without_a_word_is_lost(stage: PodStage) -> None:
    """It was stopping, it registers here, and it did not unregister."""
    stage.pod("p1", IP, leaving=True)
    stage.pod_gone("p1")
    assert (last(stage).reason, last(stage).outcome) == ("withdrawn", "lost")


def test_drain_that_was_reported_is_not_lost(stage: PodStage) -> None:
    """Its last word comes before its pod is gone."""
    stage.pod("p1", IP, leaving=True)
    stage.beat("a1", "stopping", drain=drain(20, "signal"))
    stage.unregister("a1", report(0, "signal"))
    stage.pod_gone("p1")
    assert [(one.reason, one.outcome) for one in stage.departures] == [("unregistered", "clean")]
    assert stage.agent("a").pods == {}


def test_process_that_never_registered_here_loses_no_drain(stage: PodStage) -> None:
    """It has nobody to unregister from."""
    stage.pod("p2", "10.1.0.2")
    stage.answers_in("p2", "a2", "10.1.0.2")
    stage.pod("p2", "10.1.0.2", leaving=True)
    stage.pod_gone("p2")
    assert (last(stage).reason, last(stage).outcome) == ("withdrawn", None)


def test_pod_shows_by_itself_when_its_process_has_left(stage: PodStage) -> None:
    """`starting` again while its container is restarted, `stopping` when it is being deleted."""
    stage.unregister("a1")
    assert (stage.bare(), stage.agent("a").state) == (["p1"], "starting")
    stage.pod("p1", IP, leaving=True)
    assert stage.agent("a").state == "stopping"
    stage.pod_gone("p1")
    assert (stage.bare(), stage.agent("a").state) == ([], "stopped")


def test_pod_that_is_gone_twice_is_gone(stage: PodStage) -> None:
    """Nothing happens for one that is not known."""
    stage.pod_gone("p1")
    stage.pod_gone("p1")
    stage.pod_gone("p77")
    assert len(stage.departures) == 1


def test_pods_that_are_deleted_are_no_flapping(stage: PodStage) -> None:
    """The platform ordered each of them; also where the next one has the same address."""
    for number in range(2, 12):
        stage.pod(f"p{number - 1}", IP, leaving=True)
        stage.pod_gone(f"p{number - 1}")
        stage.pod(f"p{number}", IP)
        assert stage.register(f"a{number}", url_in(IP)).routable
        stage.clock.now += 2
    assert stage.agent("a").flapping is None


def test_container_that_crashes_again_and_again_flaps(stage: PodStage) -> None:
    """In one pod each loss counts; when the pod is gone that is over."""
    for number in range(2, 8):
        stage.registry.probe_failed(stage[f"a{number - 1}"], "refused", refused=True)
        stage.register(f"a{number}", url_in(IP))
        stage.clock.now += 2
    assert stage.agent("a").flapping is not None
    assert not stage["a7"].routable
    stage.pod_gone("p1")
    assert stage.agent("a").flapping is None
