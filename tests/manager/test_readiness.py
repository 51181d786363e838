"""Whether a manager may be sent requests, and what it does not know as it is now."""

import json

import pytest
from agent_contract.problems import Problem
from agent_manager.cluster.watch_health import WatchHealth
from agent_manager.discovery.events import Listed
from agent_manager.readiness import Readiness, Stale
from agent_manager.records import Source

from tests.manager.stage import EPOCH, Stage


def readiness_of(stage: Stage, *sources: Source, watches: WatchHealth | None = None) -> Readiness:
    """Give the readiness of a manager with these sources."""
    watches = watches or WatchHealth(wall=stage.wall)
    return Readiness(stage.registry, sources, watches, clock=stage.clock, began_at=EPOCH)


async def test_it_is_ready_when_each_source_has_listed() -> None:
    """Before that it does not know who is there; afterwards it stays ready, and says who lists no more."""
    stage = Stage()
    readiness = readiness_of(stage, "static", "kubernetes")
    stage.registry.apply(Listed(source="static", instance_ids=frozenset()))
    with pytest.raises(Problem) as raised:
        readiness.check()
    stale = [{"source": "kubernetes", "since": "2026-01-01T00:00:00Z", "detail": "not listed yet"}]
    assert raised.value.status == 503
    assert json.loads(raised.value.body())["stale"] == stale
    stage.registry.apply(Listed(source="kubernetes", instance_ids=None))
    assert readiness.check() == []


async def test_it_is_ready_after_15_seconds_without_a_list() -> None:
    """A manager without one source is better than none; it says who has not listed."""
    stage = Stage()
    readiness = readiness_of(stage, "static")
    stage.clock.now += 14
    with pytest.raises(Problem):
        readiness.check()
    stage.clock.now += 1
    assert [stale.source for stale in readiness.check()] == ["static"]


async def test_an_api_server_that_is_away_makes_it_stale_and_not_unready() -> None:
    """What it knew it still knows: the body says which namespace is not seen as it is now, since when, and why."""
    stage = Stage()
    watches = WatchHealth(["here", "there"], wall=stage.wall)
    pods, deployments = watches.watch("here", "pods"), watches.watch("here", "deployments")
    watches.watch("there", "pods").opened()
    readiness = readiness_of(stage, "kubernetes", watches=watches)
    with pytest.raises(Problem) as raised:
        readiness.check()
    assert [one["detail"] for one in json.loads(raised.value.body())["stale"]] == [
        "pods: not listed yet, deployments: not listed yet"
    ]
    pods.opened()
    deployments.opened()
    stage.registry.apply(Listed(source="kubernetes", instance_ids=None))
    assert readiness.check() == []
    stage.clock.now += 5
    since = stage.wall()
    pods.ended("unreachable", "cannot list: the secret address 10.0.0.1 refuses")
    stage.clock.now += 3600
    pods.ended("unreachable", "cannot list: the same again")
    assert readiness.check() == [
        Stale(source="kubernetes", namespace="here", since=since, detail="pods: unreachable"),
    ]
