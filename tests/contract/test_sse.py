"""Event streams: what is written, what keeps quiet ones alive, what is read back."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from agent_contract import sse
from agent_contract.sse import COMMENT, Event, EventParser, EventTooLarge, encode_event, with_heartbeat
from hypothesis import given
from hypothesis import strategies as st


def test_an_event_is_its_fields_and_a_blank_line() -> None:
    """Name, id and data each stand on a line of their own."""
    assert encode_event("chunk", b'{"a":1}', "7") == b'id: 7\nevent: chunk\ndata: {"a":1}\n\n'
    assert encode_event(None, b"1") == b"data: 1\n\n"


def test_pretty_printed_json_stays_one_event() -> None:
    """Line ends inside the data become data lines, which the reader joins again."""
    encoded = encode_event("result", b'{\r\n  "a": 1\n}')
    assert EventParser().feed(encoded) == [Event("result", '{\n  "a": 1\n}')]


@pytest.mark.parametrize(("event", "id_"), [("a\ndata: forged", None), ("a", "1\r"), ("a\r\n\r\n", None)])
def test_a_name_with_a_line_end_is_refused(event: str, id_: str | None) -> None:
    """Nobody can smuggle a field or an event in by a name."""
    with pytest.raises(ValueError, match="line end"):
        encode_event(event, b"1", id_)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [Event("message", "a")]),
        (
            b"data: a\r\n\r\ndata: b\r\rdata: c\n\n",
            [Event("message", "a"), Event("message", "b"), Event("message", "c")],
        ),
        (b"\xef\xbb\xbfdata: a\n\n", [Event("message", "a")]),
        (b"data:a\ndata:  b\ndata\n\n", [Event("message", "a\n b\n")]),
        (b": comment\n\n:\n\ndata: a\n\n", [Event("message", "a")]),
        (b"event: x\n\ndata: a\n\n", [Event("message", "a")]),
        (b"event: x\ndata:\n\n", [Event("x", "")]),
        (
            b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
            [Event("message", "a", "1"), Event("message", "b", "1"), Event("message", "c", "")],
        ),
        (b"id: 1\0\ndata: a\n\n", [Event("message", "a")]),
        (b"retry: 5\nother: x\ndata: a\n\n", [Event("message", "a")]),
        (b"data: \xff\n\n", [Event("message", "\ufffd")]),
        (b"data: unended\n", []),
    ],
)
def test_the_parser_follows_the_format(stream: bytes, events: list[Event]) -> None:
    """Line ends, byte order mark, comments, many data lines, ids: as WHATWG HTML 9.2.6 says, whole or byte by byte."""
    assert EventParser().feed(stream) == events
    parser = EventParser()
    assert [event for byte in stream for event in parser.feed(bytes([byte]))] == events


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=20)


@given(st.lists(st.tuples(texts.filter(bool), texts)), st.lists(st.integers(1, 40), min_size=1))
def test_what_is_encoded_is_read_back_however_it_is_cut(events: list[tuple[str, str]], cuts: list[int]) -> None:
    """Any cut of the bytes gives the same events."""
    stream = b"".join(encode_event(name, data.encode()) for name, data in events)
    parser, read, position, turn = EventParser(), [], 0, 0
    while position < len(stream):
        size = cuts[turn % len(cuts)]
        read += parser.feed(stream[position : position + size])
        position, turn = position + size, turn + 1
    assert [(event.event, event.data) for event in read] == events


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that never ends its event cannot fill the reader's memory, neither in one line nor in many."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    with pytest.raises(EventTooLarge, match="100 bytes"):
        EventParser().feed(b"data: " + b"x" * 100)
    parser = EventParser()
    parser.feed(b"data: 12345\n" * 8)
    with pytest.raises(EventTooLarge):
        parser.feed(b"data: 12345\n" * 2)


def test_many_events_of_the_allowed_size_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is for one event, not for the stream."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    parser = EventParser()
    assert sum(len(parser.feed(b"data: " + b"x" * 50 + b"\n\n")) for _ in range(50)) == 50


async def test_a_comment_is_sent_for_each_spell_of_silence() -> None:
    """A quiet source gets comments, and its late item comes once and whole."""
    release = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        yield b"first"
        await release.wait()
        yield b"second"

    stream = with_heartbeat(source(), 0.01)
    assert await anext(stream) == b"first"
    assert [await anext(stream) for _ in range(3)] == [COMMENT] * 3
    release.set()
    rest = [item async for item in stream]
    assert [item for item in rest if item != COMMENT] == [b"second"]


async def test_a_busy_source_gets_no_comment() -> None:
    """Items that wait are given in order, without a comment between them."""

    async def source() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"%d" % number

    assert [item async for item in with_heartbeat(source(), 60)] == [b"%d" % number for number in range(100)]


async def test_what_the_source_raises_comes_after_its_items() -> None:
    """An error is not lost and does not overtake."""

    async def source() -> AsyncIterator[bytes]:
        yield b"1"
        raise OSError("disk gone")

    stream = with_heartbeat(source())
    assert await anext(stream) == b"1"
    with pytest.raises(OSError, match="disk gone"):
        await anext(stream)


async def test_a_reader_that_leaves_closes_the_source() -> None:
    """The source's cleanup has run when the stream is closed, also while it waits."""
    closed = []

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"1"
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    stream = with_heartbeat(source())
    assert await anext(stream) == b"1"
    await stream.aclose()
    assert closed == [True]


async def test_a_source_may_hold_a_timeout_over_its_yields() -> None:
    """The source runs in one task, so what must be left in the task that entered it works."""

    async def source() -> AsyncIterator[bytes]:
        async with asyncio.timeout(60), asyncio.TaskGroup():
            yield b"1"
            yield b"2"

    assert [item async for item in with_heartbeat(source())] == [b"1", b"2"]
