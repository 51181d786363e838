"""The last events, as a stream that can be resumed."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from agent_contract.sse import Event, EventParser
from agent_manager.journal import KEPT, Journal

from tests.manager.stage import EPOCH


@pytest.fixture
def journal() -> Journal:
    """Give a journal that keeps five events."""
    return Journal(lambda: EPOCH, kept=5)


def record(journal: Journal, *codes: str) -> None:
    """Note an event of each code."""
    for code in codes:
        journal.record("agent", "a", code, f"it is {code}")


async def read(stream: AsyncIterator[bytes], count: int) -> list[Event]:
    """Give the next events."""
    parser = EventParser()
    found: list[Event] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            found += parser.feed(await anext(stream))
    return found


async def codes(stream: AsyncIterator[bytes], count: int) -> list[str]:
    """Give the codes of the next events, `reset` for a reset."""
    return [json.loads(event.data).get("code", event.event) for event in await read(stream, count)]


async def test_event_has_the_promised_members(journal: Journal) -> None:
    """In their order, and those that do not apply are not there."""
    stream = journal.follow()
    reading = asyncio.ensure_future(read(stream, 2))
    await asyncio.sleep(0)
    journal.record("verdict", "a", "unreachable", "it refused", instance_id="a1", by="ops", level="warning")
    journal.record("action", "", "stop", "all are told to stop")
    one, two = await reading
    assert (one.event, two.event) == ("verdict", "action")
    assert list(json.loads(one.data).items()) == [
        ("time", "2026-01-01T00:00:00Z"),
        ("agent", "a"),
        ("instanceId", "a1"),
        ("by", "ops"),
        ("code", "unreachable"),
        ("message", "it refused"),
    ]
    assert list(json.loads(two.data)) == ["time", "agent", "code", "message"]
    assert one.id is not None
    assert two.id is not None


async def test_follower_without_an_id_gets_what_comes(journal: Journal) -> None:
    """What was before is not sent again."""
    record(journal, "old")
    stream = journal.follow()
    reading = asyncio.ensure_future(codes(stream, 2))
    await asyncio.sleep(0)
    record(journal, "new", "newer")
    assert await reading == ["new", "newer"]


async def test_follower_resumes_after_its_last_event(journal: Journal) -> None:
    """Nothing is missed and nothing comes twice."""
    reading = asyncio.ensure_future(read(journal.follow(), 1))
    await asyncio.sleep(0)
    record(journal, "one", "two", "three")
    (first, *_) = await reading
    assert await codes(journal.follow(first.id), 2) == ["two", "three"]


async def test_id_of_an_earlier_manager_is_reset(journal: Journal) -> None:
    """Its numbers mean nothing here: the reader is told, and gets all that is kept."""
    record(journal, "one", "two")
    other = Journal(lambda: EPOCH)
    reading = asyncio.ensure_future(read(other.follow(), 1))
    await asyncio.sleep(0)
    record(other, "elsewhere")
    ((event),) = await reading
    assert await codes(journal.follow(event.id), 3) == ["reset", "one", "two"]


@pytest.mark.parametrize("last", ["", "x", "-", "-1", "{}-", "{}--1", "{}-99", "{}-٣", "{}-" + "9" * 40])
async def test_unknown_id_is_reset(journal: Journal, last: str) -> None:
    """Whatever a client sends, it gets a stream."""
    record(journal, "one")
    assert await codes(journal.follow(last.format(journal._epoch)), 2) == ["reset", "one"]


async def test_id_that_is_too_old_is_reset(journal: Journal) -> None:
    """The reader learns that its view has a gap; one just young enough has none."""
    record(journal, *(str(number) for number in range(1, 11)))
    assert await codes(journal.follow(f"{journal._epoch}-5"), 5) == ["6", "7", "8", "9", "10"]
    assert await codes(journal.follow(f"{journal._epoch}-4"), 6) == ["reset", "6", "7", "8", "9", "10"]


async def test_follower_that_falls_behind_is_reset(journal: Journal) -> None:
    """A slow reader costs no memory beyond what is kept anyway."""
    record(journal, "one")
    stream = journal.follow(f"{journal._epoch}-0")
    assert await codes(stream, 1) == ["one"]
    record(journal, *(str(number) for number in range(20)))
    assert await codes(stream, 6) == ["reset", "15", "16", "17", "18", "19"]


async def test_ten_thousand_events_are_kept() -> None:
    """And sent in batches, so that the loop has its turn between."""
    journal = Journal(lambda: EPOCH)
    record(journal, *(["x"] * (KEPT + 1)))
    assert KEPT == 10_000
    stream = journal.follow(f"{journal._epoch}-1")
    first = await anext(stream)
    assert first.count(b"\n\n") == 100
    assert len(await read(stream, KEPT - 100)) == KEPT - 100


async def test_follower_that_leaves_is_forgotten(journal: Journal) -> None:
    """Also in the middle of a wait."""
    stream = journal.follow()
    reading = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert len(journal._followers) == 1
    reading.cancel()
    await asyncio.wait({reading})
    assert journal._followers == set()
