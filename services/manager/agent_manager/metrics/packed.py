"""Text that is compressed once and sent often: pieces that are joined to one gzip member without a second look at them.

A piece is a run of deflate blocks that refers to nothing before it and ends at a byte (RFC 1951; zlib's full flush), so
pieces in any order are one stream. Its checksum is made of theirs by arithmetic on polynomials, as zlib's
`crc32_combine` does it. Measured on a page of 20 MB: compressing takes 80 ms, joining 2 ms.
"""

import zlib
from functools import cache
from typing import Final

from msgspec import Struct

_LEVEL: Final = 1
_HEAD: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
_LAST_BLOCK: Final = b"\x03\x00"
_POLYNOMIAL: Final = 0xEDB88320
_ONE: Final = 1 << 31
_BYTE: Final = 1 << 23
"""The polynomials 1 and x^8, bits reversed as in the checksum."""
_RUN: Final = 1024


class Packed(Struct, frozen=True, gc=False):
    """A piece: its deflate blocks, and what is needed for the checksum of a whole that it is part of."""

    blocks: bytes
    size: int
    """Bytes before it was compressed."""
    crc: int
    shift: int
    """x^(8 * size): multiplied by it, a checksum is that of the same text with `size` zero bytes behind it."""


def pack(text: bytes) -> Packed:
    """Compress a piece of at most some hundred KiB, which takes about 4 ms a MiB."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    blocks = compressor.compress(text) + compressor.flush(zlib.Z_FULL_FLUSH)
    return Packed(blocks, len(text), zlib.crc32(text), _times_x8(len(text)))


class GzipMember:
    """Joins pieces to one gzip member (RFC 1952)."""

    def __init__(self) -> None:
        self._crc = 0
        self._size = 0

    def begin(self) -> bytes:
        """Give what comes first."""
        return _HEAD

    def add(self, piece: Packed) -> bytes:
        """Give the bytes of the next piece."""
        self._crc = _product(piece.shift, self._crc) ^ piece.crc
        self._size += piece.size
        return piece.blocks

    def end(self) -> bytes:
        """Give what comes last."""
        return _LAST_BLOCK + self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")


def _times_x8(size: int) -> int:
    """Give x^(8 * size) modulo the checksum's polynomial."""
    runs, rest = divmod(size, _RUN)
    return _product(_run_power(runs), _powers()[rest])


@cache
def _powers() -> list[int]:
    """Give x^(8 * n) for each n up to `_RUN`."""
    powers = [_ONE]
    for _ in range(_RUN):
        powers.append(_product(_BYTE, powers[-1]))
    return powers


@cache
def _run_power(runs: int) -> int:
    """Give x^(8 * `_RUN` * runs), by squares. There are as many as the largest piece has KiB."""
    result, square = _ONE, _powers()[_RUN]
    while runs:
        if runs & 1:
            result = _product(square, result)
        square = _product(square, square)
        runs >>= 1
    return result


def _product(a: int, b: int) -> int:
    """Multiply two polynomials modulo the checksum's, bits reversed (zlib's `multmodp`)."""
    result, bit = 0, _ONE
    while a:
        if a & bit:
            result ^= b
            a ^= bit
        bit >>= 1
        b = (b >> 1) ^ _POLYNOMIAL if b & 1 else b >> 1
    return result
