"""How often a reflector tries: an API server that is in trouble is not to be in more of it by us."""

import asyncio
import random

import pytest
import structlog
from agent_manager.cluster.api import ClusterApi
from agent_manager.cluster.pace import Pace, Pauses

from tests.manager.api_objects import PODS
from tests.manager.fake_api_server import FakeApiServer, Reply, failure
from tests.manager.watching import Watching, labelled, opened, watching

FIVE_MINUTES = 300.0
NO = failure(
    403, "Forbidden", 'pods is forbidden: User "system:serviceaccount:here:manager" cannot list resource "pods"'
)


@pytest.fixture(autouse=True)
def _same_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(20)  # noqa: S311  # a test's
    monkeypatch.setattr(random, "uniform", chance.uniform)


async def until_recovered(found: Watching, seconds: float) -> None:
    """Wait until what is there was told of; the reflector's own time that this took is bounded."""
    began = found.clock.now
    await found.mirror.until("a")
    assert found.clock.now - began <= seconds


# --- F20 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        failure(500, "InternalError"),
        failure(503, "ServiceUnavailable"),
        failure(429, "TooManyRequests", retry_after="1"),
        Reply(502, b"<html>", "text/html"),
        Reply(200, b"<html>", "text/html"),
    ],
    ids=["500", "503", "429", "502", "page"],
)
async def test_five_minutes_of_errors(api_server: FakeApiServer, cluster_api: ClusterApi, reply: Reply) -> None:
    """At most one request each 4 s once the pauses have grown, and everything is there within a minute of the end."""
    api_server.store.put(PODS, labelled("a"))
    api_server.answer = lambda _: reply
    async with watching(cluster_api, Pace(), paused=True) as found:
        await found.pausing.pass_time(30)
        grown = len(api_server.requests)
        await found.pausing.pass_time(FIVE_MINUTES)
        assert len(api_server.requests) - grown <= FIVE_MINUTES / 4
        assert not found.health.is_up("here")
        api_server.answer = lambda _: None
        await until_recovered(found, 60)


async def test_five_minutes_without_an_api_server(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """It refuses connections: the same bounds hold."""
    api_server.store.put(PODS, labelled("a"))
    await api_server.stop()
    async with watching(cluster_api, Pace(), paused=True) as found:
        await found.pausing.pass_time(30)
        grown = len(found.pausing.pauses)
        await found.pausing.pass_time(FIVE_MINUTES)
        assert len(found.pausing.pauses) - grown <= FIVE_MINUTES / 4
        await api_server.start()
        await until_recovered(found, 60)
    assert set(found.restarts()) == {"unreachable"}


async def test_watches_that_are_closed_at_once(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """An end in order is no success when nothing stood: it is tried as seldom as after an error."""
    api_server.answer = lambda request: Reply(200, b"") if request.verb == "watch" else None
    async with watching(cluster_api, Pace(), paused=True) as found:
        await found.pausing.pass_time(30)
        grown = len(api_server.requests)
        await found.pausing.pass_time(FIVE_MINUTES)
    assert len(api_server.requests) - grown <= FIVE_MINUTES / 4
    assert len(api_server.asked("list", "pods")) == 1
    assert set(found.restarts()) == {"closed"}
    assert not found.health.is_up("here")


async def test_a_watch_that_stood_is_opened_again_at_once(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """The API server ends each after some minutes: a half second at most, and nothing is stale by it."""
    async with watching(cluster_api, Pace(), paused=True) as found:
        await found.until_up()
        for _ in range(3):
            found.clock.now += 250
            found.changed.clear()
            api_server.close_watches()
            async with asyncio.timeout(5):
                await found.changed.wait()
            assert found.pausing.pauses[-1] <= 0.5
            assert found.health.stale() == []
    assert found.restarts() == {"closed": 3}


@pytest.mark.parametrize(
    ("text", "least", "most"), [("7", 7.0, 7.0), ("3600", 30.0, 30.0), ("-5", 0.0, 0.5), ("nan", 0.0, 30.0)]
)
async def test_it_stays_away_as_long_as_it_is_told(
    api_server: FakeApiServer, cluster_api: ClusterApi, text: str, least: float, most: float
) -> None:
    """`Retry-After` counts, up to the longest pause."""
    api_server.answer = lambda _: failure(429, "TooManyRequests", retry_after=text)
    async with watching(cluster_api, Pace(), paused=True) as found:
        await found.pausing.pass_time(0.0001)
    assert least <= found.pausing.pauses[0] <= most
    assert found.restarts()["throttled"] >= 1


def test_pauses_grow_and_begin_anew() -> None:
    """Anything up to half a second, then up to twice as much each time, up to 30 s."""
    pauses = Pauses(Pace())
    most = [0.0] * 12
    for _ in range(200):
        pauses.succeeded()
        for number in range(12):
            pauses.failed()
            most[number] = max(most[number], pauses.next_seconds())
    for number, bound in enumerate([0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30]):
        assert 0.9 * bound < most[number] <= bound


# --- F21 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [NO, failure(401, "Unauthorized", "Unauthorized")], ids=["403", "401"])
async def test_rights_that_are_revoked(api_server: FakeApiServer, cluster_api: ClusterApi, reply: Reply) -> None:
    """F21: nothing that was known is dropped, it is said once, and tried until it is allowed again."""
    api_server.store.put(PODS, labelled("a"))
    with structlog.testing.capture_logs() as logs:
        async with watching(cluster_api, Pace(), paused=True) as found:
            await found.mirror.until("a")
            await opened(api_server)
            api_server.answer = lambda _: reply
            api_server.close_watches()
            await found.pausing.pass_time(FIVE_MINUTES)
            assert found.mirror.names() == ["a"]
            assert found.restarts()["forbidden"] <= FIVE_MINUTES / 4
            denial = found.health.denial("here")
            assert denial is not None
            assert (denial.code, found.health.is_up("here")) == ("rbac-denied", False)
            api_server.answer = lambda _: None
            await found.until_up()
            assert found.health.denial("here") is None
    whys = [(line["event"], line.get("why") or line.get("after")) for line in logs]
    assert whys == [("watch ended", "closed"), ("watch ended", "forbidden"), ("watching again", "forbidden")]


async def test_a_refusal_says_how_to_check(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """Verb, resource, namespace, who asked, and the line to type."""
    api_server.answer = lambda _: NO
    async with watching(cluster_api, Pace(), paused=True) as found:
        await found.pausing.pass_time(1)
    denial = found.health.denial("here")
    assert denial is not None
    assert "the manager may not list pods in namespace here (403 Forbidden: pods is forbidden" in denial.detail
    line = "kubectl auth can-i list pods -n here --as=system:serviceaccount:here:manager"
    assert denial.detail.endswith(f"to check: {line}")
