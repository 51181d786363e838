"""The fleet as JSON, whole and as it changes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from agent_contract.config import Agent
from agent_contract.sse import EventParser
from agent_manager.listing import Listing

from tests.manager.stage import CRASHED, Stage, drain

EXPECTED = Path(__file__).parent / "listing.json"


@pytest.fixture
def stage() -> Stage:
    """Give a registry with one configured agent."""
    return Stage([Agent(id="a", name="A", port=8100)])


@pytest.fixture
def listing(stage: Stage) -> Listing:
    """Give its listing."""
    return Listing(stage.registry)


async def events(stream: AsyncIterator[bytes], count: int) -> list[tuple[str, Any]]:
    """Give the next events of a stream."""
    parser = EventParser()
    found: list[tuple[str, Any]] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            found += [(event.event, json.loads(event.data)) for event in parser.feed(await anext(stream))]
    return found


def test_listing_has_the_promised_members_in_their_order(stage: Stage, listing: Listing) -> None:
    """The text is that of the file beside this test, byte for byte but for its line breaks."""
    metadata = {
        "description": "does a",
        "version": "1.2",
        "adapterVersion": "0.1",
        "startedAt": "2026-01-01T00:00:00Z",
        "maxConcurrency": 4,
        "parametersSchema": {"type": "object"},
    }
    stage.register("a1", "http://127.0.0.1:8100", metadata=metadata)
    stage.clock.now += 5
    stage.beat("a1", "stopping", current_task="t-1", running=2, queued=1, drain=drain(20), problem=CRASHED)
    stage.see("b1", "http://127.0.0.1:8101")
    stage.registry.set_desired_state("b", "paused", by=None)
    assert json.dumps(json.loads(listing.whole()), indent=2) + "\n" == EXPECTED.read_text()


def test_empty_fleet_is_a_listing() -> None:
    """Nothing known is no error."""
    assert json.loads(Listing(Stage().registry).whole()) == {"revision": 0, "agents": []}


def test_one_agent_is_the_same_as_in_the_listing(stage: Stage, listing: Listing) -> None:
    """And an unknown one is none."""
    stage.register("a1")
    agent = listing.agent("a")
    assert agent is not None
    assert json.loads(listing.whole())["agents"] == [json.loads(agent)]
    assert listing.agent("b") is None


def test_ready_instances_are_those_that_calls_go_to(stage: Stage, listing: Listing) -> None:
    """They run and are reachable."""
    for number in range(1, 4):
        stage.register(f"a{number}")
    stage.beat("a2", "paused")
    stage.registry.probe_failed(stage["a3"], "refused", refused=True)
    (agent,) = json.loads(listing.whole())["agents"]
    assert (agent["readyInstances"], agent["desiredInstances"], len(agent["instances"])) == (1, None, 3)
    assert agent["problem"]["code"] == "unreachable"


def test_every_word_is_in_the_next_listing(stage: Stage, listing: Listing) -> None:
    """What is kept of the text is never older than the record, though a beat without news is no change."""
    stage.register("a1")
    first = json.loads(listing.whole())
    stage.clock.now += 5
    stage.beat("a1")
    second = json.loads(listing.whole())
    assert second["revision"] == first["revision"]
    assert second["agents"][0]["instances"][0]["lastSeen"] != first["agents"][0]["instances"][0]["lastSeen"]
    assert listing.whole() == listing.whole()


def test_schema_that_looks_like_the_listing_is_no_trouble(stage: Stage, listing: Listing) -> None:
    """Also one that holds the very text that stands for a gap."""
    schema = {"lastSeen": "0001-01-01T00:00:00Z"}
    stage.register("a1", metadata={"parametersSchema": schema})
    (agent,) = json.loads(listing.whole())["agents"]
    assert agent["parametersSchema"] == schema
    assert agent["instances"][0]["lastSeen"] == "2026-01-01T00:16:40Z"
    stage.clock.now += 5
    stage.beat("a1")
    assert json.loads(listing.whole())["agents"][0]["instances"][0]["lastSeen"] == "2026-01-01T00:16:45Z"


def test_agent_that_was_forgotten_and_is_back_is_not_its_old_text(listing: Listing) -> None:
    """The text of a record is never used for another one of the same id."""
    stage = Stage()
    listing = Listing(stage.registry)
    stage.pass_time(31)
    stage.register("b1")
    listing.whole()
    stage.unregister("b1")
    stage.pass_time(31)
    assert json.loads(listing.whole())["agents"] == []
    stage.register("b2")
    assert json.loads(listing.whole())["agents"][0]["instances"][0]["instanceId"] == "b2"


async def test_watch_gives_the_listing_and_then_each_change(stage: Stage, listing: Listing) -> None:
    """Nothing between the two is missed; a change has its revision."""
    stream = listing.watch()
    ((kind, whole),) = await events(stream, 1)
    assert (kind, whole["revision"], [agent["id"] for agent in whole["agents"]]) == ("listing", 0, ["a"])
    stage.register("a1")
    ((kind, change),) = await events(stream, 1)
    assert (kind, list(change)) == ("agent", ["revision", "agent"])
    assert change["revision"] == stage.registry.revision
    assert change["agent"] == json.loads(listing.agent("a") or b"")
    await stream.aclose()  # type: ignore[attr-defined]  # a generator has it


async def test_watch_tells_of_an_agent_that_is_no_longer_listed(listing: Listing) -> None:
    """With its id and the revision."""
    stage = Stage()
    listing = Listing(stage.registry)
    stage.pass_time(31)
    stage.register("b1")
    stream = listing.watch()
    await events(stream, 1)
    stage.unregister("b1")
    await events(stream, 1)
    stage.pass_time(30)
    assert await events(stream, 1) == [("agent", {"revision": stage.registry.revision, "removed": "b"})]


async def test_slow_reader_gets_the_latest_state_once(stage: Stage, listing: Listing) -> None:
    """What waits for a reader is bounded by the number of agents, and revisions ascend."""
    stream = listing.watch()
    await events(stream, 1)
    stage.register("a1")
    for number in range(50):
        stage.beat("a1", running=number + 1)
        stage.register(f"b{number}")
    (follower,) = listing._followers
    assert len(follower._changed) == 2
    (one, two) = await events(stream, 2)
    assert (one[1]["agent"]["instances"][0]["running"], len(two[1]["agent"]["instances"])) == (50, 50)
    assert one[1]["revision"] < two[1]["revision"] == stage.registry.revision


async def test_many_changes_come_in_batches(listing: Listing, stage: Stage) -> None:
    """A thousand agents at once are some writes, not a thousand."""
    stream = listing.watch()
    await anext(stream)
    for number in range(250):
        stage.register(f"{'abcde'[number % 5]}x{number}" if number % 5 else f"a{number}")
    changed = len({*stage.changes})
    seen, writes = 0, 0
    while seen < changed:
        seen += (await anext(stream)).count(b"event: agent")
        writes += 1
    assert seen == changed
    assert writes <= 1 + changed // 100


async def test_reader_that_leaves_is_forgotten(listing: Listing) -> None:
    """A stream that was closed costs nothing more."""
    stream = listing.watch()
    await anext(stream)
    assert len(listing._followers) == 1
    await stream.aclose()  # type: ignore[attr-defined]  # a generator has it
    assert listing._followers == set()


async def test_beat_without_news_is_no_event(stage: Stage, listing: Listing) -> None:
    """A thousand agents that beat are silence on the stream."""
    stage.register("a1")
    stream = listing.watch()
    await events(stream, 1)
    stage.clock.now += 5
    stage.beat("a1")
    (follower,) = listing._followers
    assert not follower.woken.is_set()


def test_listing_of_a_thousand_agents_is_a_matter_of_milliseconds() -> None:
    """Two instances each: joined from kept texts, and made anew where a beat changed all of them."""
    stage = Stage([Agent(id=f"agent-{number}x") for number in range(1000)])
    listing = Listing(stage.registry)
    for number in range(1000):
        for instance in range(2):
            stage.register(f"agent-{number}x{instance}", f"http://10.{number // 250}.{number % 250}.{instance + 1}:80")
    whole = listing.whole()
    assert whole.count(b'"instanceId"') == 2000
    kept = min(_seconds(listing.whole) for _ in range(5))
    for record in stage.registry.agents.values():
        record.touched += 1
    anew = _seconds(listing.whole)
    assert kept < 0.02
    assert anew < 0.2


def _seconds(work: Any) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before
