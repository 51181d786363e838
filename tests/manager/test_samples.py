"""Ten minutes of every agent, in steps of five seconds."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from agent_contract.sse import Event, EventParser
from agent_manager.background import Background
from agent_manager.metrics import BUCKETS
from agent_manager.samples import KEPT, Samples, Tally, quantile

from tests.manager.stage import Stage

NONE = Tally({}, (0,) * (len(BUCKETS) + 1))


class Looking:
    """Samples of a stage, whose calls are counted by hand."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.tallies: dict[str, Tally] = {}
        self.samples = Samples(
            self.stage.registry,
            lambda agent: self.tallies.get(agent, NONE),
            BUCKETS,
            Background(),
            clock=self.stage.clock,
        )

    def count(self, agent: str, codes: dict[int, int], **slower_than: int) -> None:
        """Let calls to an agent have come to this; `slower_than` has how many took how long, by the bound's place."""
        buckets = [0] * (len(BUCKETS) + 1)
        for place, number in slower_than.items():
            buckets[int(place.removeprefix("at_"))] = number
        self.tallies[agent] = Tally(codes, tuple(buckets))


async def following(samples: Samples) -> AsyncIterator[Event]:
    """Give the events of a reader."""
    parser = EventParser()
    async for frame in samples.follow():
        for event in parser.feed(frame):
            yield event


async def said(events: AsyncIterator[Event]) -> Any:
    """Give the next event's name and its data."""
    async with asyncio.timeout(5):
        event = await anext(events)
    return event.event, json.loads(event.data)


async def test_a_step_says_what_an_agent_had_in_hand_and_what_was_answered_since() -> None:
    """Tasks, waiting ones, calls, those that failed, p95 in milliseconds, and how long it was not heard."""
    looking = Looking()
    looking.stage.register("echo1")
    looking.stage.beat("echo1", running=2, queued=1)
    await looking.samples.look()
    events = following(looking.samples)
    assert await said(events) == ("past", {"tick": 1, "first": True, "agents": {"echo": [[2], [1], 0, 0, 0]}})
    looking.count("echo", {200: 3, 409: 1, 503: 1, 499: 1}, at_2=6)
    looking.stage.clock.now += 2
    await looking.samples.look()
    assert await said(events) == ("step", {"tick": 2, "agents": {"echo": [2, 1, 6, 1, 98, 2]}})


async def test_who_comes_later_sees_the_past_and_who_is_late_sees_it_again() -> None:
    """What is drawn has no holes; it is bounded by ten minutes."""
    looking = Looking()
    looking.stage.register("echo1")
    looking.stage.beat("echo1", running=1)
    for _ in range(KEPT + 30):
        await looking.samples.look()
    events = following(looking.samples)
    name, past = await said(events)
    assert name == "past"
    assert past["agents"]["echo"][0] == [1] * (KEPT - 1)
    await looking.samples.look()
    await looking.samples.look()
    assert (await said(events))[0] == "past"


async def test_an_agent_that_is_gone_is_in_no_step() -> None:
    """Its memory is given back."""
    looking = Looking()
    looking.stage.register("echo1")
    await looking.samples.look()
    looking.stage.registry.agents.clear()
    await looking.samples.look()
    assert looking.samples._rings == {}


def test_a_quantile_lies_within_its_bucket_as_prometheus_has_it() -> None:
    """Linear within a bucket; what has no bound counts as the last one; nothing gives 0."""
    bounds = (0.1, 0.5, 1.0)
    assert quantile(bounds, (0, 0, 0, 0), 0.95) == 0
    assert quantile(bounds, (10, 0, 0, 0), 0.5) == pytest.approx(0.05)
    assert quantile(bounds, (0, 10, 0, 0), 0.95) == pytest.approx(0.48)
    assert quantile(bounds, (0, 0, 0, 10), 0.95) == 1.0
