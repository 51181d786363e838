"""Text that is compressed once: joined pieces are one gzip member, whatever they are."""

import gzip
import zlib

from agent_manager.metrics.packed import GzipMember, pack
from hypothesis import given
from hypothesis import strategies as st

PIECES = st.lists(st.binary(max_size=3000), max_size=8)


def joined(pieces: list[bytes]) -> bytes:
    """Give the member that these pieces are."""
    member = GzipMember()
    return b"".join([member.begin(), *(member.add(pack(piece)) for piece in pieces), member.end()])


@given(PIECES)
def test_pieces_are_one_member(pieces: list[bytes]) -> None:
    """A reader that takes one member and no more, as most do, has the whole; its checksum is right."""
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert reader.decompress(joined(pieces)) == b"".join(pieces)
    assert reader.eof
    assert reader.unused_data == b""


def test_a_piece_may_be_used_again() -> None:
    """In any order, and in many pages at a time."""
    first, second = pack(b"first " * 500_000), pack(b"second")
    for order in ((first, second), (second, first, first)):
        member = GzipMember()
        text = gzip.decompress(b"".join([member.begin(), *map(member.add, order), member.end()]))
        assert text.count(b"first") == 500_000 * sum(one is first for one in order)


def test_it_is_small() -> None:
    """Level 1 makes less than a sixth of such lines."""
    text = b"".join(b'agent_task_running{agent="a",instance_id="%08d"} 1.0\n' % number for number in range(1000))
    assert len(joined([text])) < len(text) / 6
