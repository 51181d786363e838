"""Who is there: one record for one process, whatever it is known from."""

import asyncio
import inspect

import msgspec
import pytest
from agent_contract.config import Agent
from agent_contract.problems import Problem
from agent_contract.wire import Blocker, Heartbeat, Registration, Totals
from agent_manager.agent_client import Origin
from agent_manager.discovery.events import Gone, Listed
from agent_manager.registry import Registry

from tests.manager.stage import CRASHED, Stage, drain, report, status_of, url_of

URL = "http://127.0.0.1:8100"


@pytest.fixture
def stage() -> Stage:
    """Give a registry that knows nobody."""
    return Stage()


def refused(code: str) -> "pytest.RaisesExc[Problem]":
    """Expect a problem with this code."""
    return pytest.raises(Problem, check=lambda problem: problem.code == code)


def test_registered_instance_is_known_at_once(stage: Stage) -> None:
    """A registration is in the next look."""
    instance = stage.register("a1")
    assert stage.registry.find("a") is stage.agent("a")
    assert stage.registry.instances == {"a1": instance}
    assert (instance.state, instance.reachable, instance.routable, instance.source) == (
        "running",
        True,
        True,
        "registration",
    )
    assert instance.registered_at == instance.last_seen == stage.wall()
    assert stage.changes == ["a"]


def test_one_process_found_twice_is_one_record(stage: Stage) -> None:
    """Static discovery and a registration that name one instance id share a record; the registered URL wins."""
    found = stage.see("a1", URL)
    registered = stage.register("a1", "http://10.0.0.7:8100")
    assert registered is found
    assert (found.service_url, str(found.origin)) == ("http://10.0.0.7:8100", "http://10.0.0.7:8100")
    assert found.sources == {"static", "registration"}
    assert found.source == "registration"
    assert stage.see("a1", URL).service_url == "http://10.0.0.7:8100"


def test_source_takes_away_only_what_it_brought(stage: Stage) -> None:
    """An instance that two sources know stays when one of them does not see it any more."""
    stage.see("a1")
    stage.register("a1")
    stage.register("a2")
    stage.registry.apply(Gone(source="static", agent_id="a"))
    assert stage.ids() == ["a1", "a2"]
    assert stage["a1"].sources == {"registration"}


def test_listed_drops_what_its_source_does_not_name(stage: Stage) -> None:
    """A full list of a source ends what only that source knew."""
    stage.see("a1")
    stage.see("b1")
    stage.register("c1")
    stage.registry.apply(Listed(source="static", instance_ids=frozenset(["b1"])))
    assert stage.ids() == ["b1", "c1"]
    assert stage.departures[0].reason == "withdrawn"
    assert stage.registry.listed_at == {"static": stage.clock.now}


def test_listing_of_a_source_that_says_nothing_new_is_no_change(stage: Stage) -> None:
    """A source that lists every few seconds does not wake everyone who watches."""
    stage.see("a1")
    stage.register("b1")
    stage.changes.clear()
    stage.registry.apply(Listed(source="static", instance_ids=frozenset(["a1"])))
    stage.registry.apply(Gone(source="static", agent_id="b"))
    assert stage.changes == []


def test_newer_life_replaces_the_older_at_its_address(stage: Stage) -> None:
    """At one address there is one process: the last one."""
    stage.register("a1", URL)
    stage.register("a2", URL)
    assert stage.ids() == ["a2"]
    assert stage["a2"].restarts == 1
    assert [departure.reason for departure in stage.departures] == ["replaced"]


def test_replaced_id_never_comes_back(stage: Stage) -> None:
    """A late beat, unregistration or registration of an older life is 409 `stale-instance`."""
    stage.register("a1", URL)
    stage.register("a2", URL)
    for say in (stage.beat, stage.unregister, stage.register):
        with refused("stale-instance"):
            say("a1")
    with pytest.raises(KeyError):
        stage.see("a1", "http://127.0.0.1:9999")
    assert stage.registry.is_stale("a1")
    assert not stage.registry.is_stale("a2")
    assert stage.ids() == ["a2"]


def test_memory_of_replaced_ids_is_bounded(stage: Stage) -> None:
    """After a hundred thousand replaced ids the oldest is forgotten, and no more are kept."""
    for number in range(100_002):
        stage.registry._fleet.retire(f"x{number}")
    assert not stage.registry.is_stale("x1")
    assert stage.registry.is_stale("x2")
    assert len(stage.registry._fleet._retired) == 100_000


def test_other_life_found_by_a_probe_ends_the_record(stage: Stage) -> None:
    """Where another process answers, the known one is gone, and its id with it."""
    instance = stage.register("a1")
    stage.registry.found_other_life(instance)
    stage.registry.found_other_life(instance)
    assert stage.ids() == []
    assert stage.registry.is_stale("a1")
    assert len(stage.departures) == 1


def test_unknown_instance_is_told_to_register(stage: Stage) -> None:
    """A beat of an instance that did not register here is 404, also where another source or agent knows it."""
    with refused("unknown-instance"):
        stage.beat("a1")
    stage.see("a1")
    with refused("unknown-instance"):
        stage.beat("a1")
    stage.register("b1")
    with refused("unknown-instance"):
        stage.registry.beat(Heartbeat("c", "b1", "running"))


def test_instance_id_belongs_to_one_agent(stage: Stage) -> None:
    """An instance id that is one of another agent is a conflict, and nothing changes."""
    stage.register("a1")
    with refused("registration-conflict"):
        stage.registry.register(Registration("b", URL, "a1"), Origin.parse(URL))
    assert stage.registry.find("b") is None


def test_unregistration_is_idempotent(stage: Stage) -> None:
    """An unknown instance that says goodbye is no error; one of another agent's name changes nothing."""
    stage.unregister("a1")
    stage.register("a1")
    stage.unregister("a1")
    stage.unregister("a1")
    assert stage.ids() == []
    assert [departure.reason for departure in stage.departures] == ["unregistered"]


def test_unregistered_instance_may_register_again(stage: Stage) -> None:
    """Only a replaced id is worn out."""
    stage.register("a1")
    stage.unregister("a1")
    stage.register("a1")
    assert stage.ids() == ["a1"]


def test_beat_updates_what_listings_show(stage: Stage) -> None:
    """State, tasks, drain, problem and totals are those of the last beat."""
    stage.register("a1")
    totals = Totals(succeeded=3)
    instance = stage.beat(
        "a1", "stopping", current_task="t", running=2, queued=1, drain=drain(9), problem=CRASHED, totals=totals
    )
    assert (instance.state, instance.current_task, instance.running, instance.queued) == ("stopping", "t", 2, 1)
    assert (instance.drain, instance.problem, instance.totals) == (drain(9), CRASHED, totals)
    stage.beat("a1")
    assert (instance.state, instance.current_task, instance.drain, instance.problem) == ("running", None, None, None)


def test_blockers_of_a_drain_are_bounded(stage: Stage) -> None:
    """A listing with the hundred thousand queued tasks of one instance helps nobody."""
    stage.register("a1")
    blockers = [Blocker(str(number), 1.0) for number in range(1001)]
    instance = stage.beat("a1", "stopping", drain=msgspec.structs.replace(drain(9), blockers=blockers))
    assert instance.drain is not None
    assert instance.drain.blockers == blockers[:1000]


def test_beat_without_news_is_no_change(stage: Stage) -> None:
    """A beat that says what was known moves `lastSeen` and nothing else."""
    instance = stage.register("a1")
    revision, touched = stage.registry.revision, stage.agent("a").touched
    stage.clock.now += 5
    stage.beat("a1")
    assert stage.registry.revision == revision
    assert stage.agent("a").touched == touched + 1
    assert instance.last_seen == stage.wall()


def test_lost_record_cannot_be_picked_by_who_holds_it(stage: Stage) -> None:
    """Whoever still holds the record of an instance that left sees `stopped`."""
    instance = stage.register("a1")
    stage.unregister("a1")
    assert (instance.state, instance.routable) == ("stopped", False)
    stage.registry.observe(instance, status_of("a1"), stage.clock.now)
    stage.registry.probe_failed(instance, "refused", refused=True)
    assert stage.ids() == []


@pytest.mark.parametrize(("cut", "outcome"), [(0, "clean"), (2, "cut")])
def test_drain_report_outlives_its_instance(stage: Stage, cut: int, outcome: str) -> None:
    """How a drain went is told to metrics and journal as the instance leaves."""
    stage.register("a1")
    stage.unregister("a1", report(cut))
    (departure,) = stage.departures
    assert (departure.outcome, departure.drain) == (outcome, report(cut))
    assert stage.journal.codes[-1] == outcome
    assert f"{cut} were cut" in stage.journal.messages[-1]


def test_drain_without_a_last_word_is_lost(stage: Stage) -> None:
    """An instance that was stopping and vanished counts as a lost drain."""
    stage.register("a1", URL)
    stage.beat("a1", "stopping")
    stage.register("a2", URL)
    assert stage.departures[0].outcome == "lost"
    stage.register("a3", URL)
    assert stage.departures[1].outcome is None


async def test_changed_returns_at_the_next_change(stage: Stage) -> None:
    """Held calls wait for it; it also ends for an agent that was unknown, and by itself."""
    waits = [asyncio.create_task(stage.registry.changed("a", 60)) for _ in range(3)]
    await asyncio.sleep(0)
    stage.register("b1")
    await asyncio.sleep(0)
    assert not any(wait.done() for wait in waits)
    stage.register("a1")
    await asyncio.gather(*waits)
    await stage.registry.changed("a", 0)
    waiting = asyncio.create_task(stage.registry.changed("a", 60))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert stage.registry._roster.changes._waiters == {}


def test_subscription_ends(stage: Stage) -> None:
    """After its end a callback hears nothing, and ending it twice is fine."""
    heard: list[str] = []
    cancel = stage.registry.subscribe(heard.append)
    stage.register("a1")
    cancel()
    cancel()
    stage.register("b1")
    assert heard == ["a"]


def test_port_that_refuses_is_known_and_wakes_who_waits() -> None:
    """Calls are not held for an agent whose port refuses."""
    stage = Stage([Agent(id="a", port=8100)])
    assert stage.agent("a").port_refuses is None
    stage.registry.apply(Gone(source="static", agent_id="a"))
    assert stage.agent("a").port_refuses is True
    stage.see("a1", url_of("a1"))
    assert stage.agent("a").port_refuses is False


def test_registry_is_synchronous() -> None:
    """Nothing but `changed` awaits: no state is seen between two of its steps."""
    waiting = [name for name, member in vars(Registry).items() if inspect.iscoroutinefunction(member)]
    assert waiting == ["changed"]
