"""The reader of responses, with bytes alone: how they are cut into reads changes nothing."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from agent_manager.agent_client.parser import ResponseParser
from agent_manager.agent_client.response import BadResponse
from hypothesis import given, settings
from hypothesis import strategies as st

OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS = [
    OK + b"content-length: 5\r\nx-empty:\r\nX-Y:  z \r\n\r\nhello",
    OK + b"content-length: 0\r\n\r\n",
    OK + b"transfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nx: y\r\n\r\n",
    b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nlink: x\r\n\r\n" + OK + b"content-length: 2\r\n\r\nhi",
    OK + b"connection: close\r\n\r\nuntil the end",
    b"HTTP/1.0 404 Not Found\r\ncontent-length: 2\r\n\r\nhi",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    OK + b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n",
    OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\nhi",
    OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    OK + b"x: a\r\n b\r\n\r\n",
    b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 101 S\r\n\r\n",
    OK + b"content-length: 5\r\n\r\nhel",
]


def outcome(pieces: list[bytes]) -> tuple[object, ...]:
    """Give what becomes of an answer that arrives in these pieces, and then the connection's end."""
    parser = ResponseParser(1000, 1000)
    try:
        for piece in pieces:
            parser.feed(piece)
    except BadResponse as error:
        return "bad", str(error)
    if not parser.complete and (lost := parser.feed_eof()) is not None:
        return "lost", str(lost)
    response = parser.response()
    return response.status, response.headers, response.body, parser.streaming


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_byte_by_byte_is_the_same_as_at_once(answer: bytes) -> None:
    """Each possible cut is made at once."""
    assert outcome([answer[n : n + 1] for n in range(len(answer))]) == outcome([answer])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ANSWERS), st.lists(st.integers(1, 200), max_size=6))
def test_cuts_change_nothing(answer: bytes, cuts: list[int]) -> None:
    """An answer cut anywhere has the outcome of the whole one."""
    edges = [0, *sorted({cut for cut in cuts if cut < len(answer)}), len(answer)]
    pieces = [answer[start:end] for start, end in pairwise(edges)]
    assert outcome(pieces) == outcome([answer])


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(ANSWERS), st.integers(0, 200), st.binary(min_size=1, max_size=8), st.booleans())
def test_any_damage_has_a_definite_outcome(answer: bytes, where: int, junk: bytes, replace: bool) -> None:  # noqa: FBT001  # hypothesis gives it
    """Random damage is refused, lost, or an answer: no other error ever leaves the reader."""
    rest = answer[where + len(junk) if replace else where :]
    outcome([answer[:where] + junk + rest])


def test_connection_is_reusable_only_after_the_exact_end() -> None:
    """The reader says so only when the last byte that came is the response's last."""
    for answer, reusable in [
        (ANSWERS[0], True),
        (ANSWERS[0] + b"\n", False),
        (ANSWERS[1] + b"\r\n", False),
        (ANSWERS[2], True),
        (ANSWERS[2] + b"\r\n\r\n", False),
        (ANSWERS[5], False),
        (ANSWERS[6] + b"H", False),
    ]:
        parser = ResponseParser(1000, 1000)
        parser.feed(answer)
        assert parser.complete
        assert parser.reusable is reusable, answer


def test_body_in_tiny_pieces_takes_its_own_size() -> None:
    """200,000 chunks of two bytes cost 400,000 bytes, not an object each."""
    parser = ResponseParser(65536, 4 << 20)
    tracemalloc.start()
    try:
        parser.feed(OK + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(20):
            parser.feed(b"2\r\nhi\r\n" * 10_000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    parser.feed(b"0\r\n\r\n")
    assert parser.response().body == b"hi" * 200_000


def test_one_reader_reads_many_responses() -> None:
    """Nothing of a response is left in the next."""
    parser = ResponseParser(1000, 1000)
    for answer in (ANSWERS[0], ANSWERS[2], ANSWERS[3], ANSWERS[1], ANSWERS[6], ANSWERS[0]):
        parser.expect(head_only=False, streams=False)
        parser.feed(answer)
        got = parser.response()
        assert (got.status, got.headers, got.body, parser.streaming) == outcome([answer])
