"""The page of `GET /metrics`, piece by piece, in the format and encoding that the scraper asks for."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Final, Protocol

from msgspec import Struct
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from agent_manager.metrics.families import Block, Family
from agent_manager.metrics.packed import GzipMember, pack

_PIECE_BYTES: Final = 64 * 1024
"""Sent at once: above that a socket takes no more anyway."""
_TURN_SECONDS: Final = 0.001
"""After which others have the event loop: with the longest single step, a block of 256 KiB, it is under 3 ms."""
_END: Final = b"# EOF\n"


class Form(Struct, frozen=True):
    """How a scraper wants the page."""

    encoder: Callable[[Collector], bytes]
    content_type: str
    gzip: bool

    @property
    def rich(self) -> bool:
        """Whether it is OpenMetrics, which has exemplars and an end."""
        return self.content_type.startswith("application/openmetrics-text")

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The answer's headers."""
        encoding = [(b"content-encoding", b"gzip")] if self.gzip else []
        return [(b"content-type", self.content_type.encode()), (b"vary", b"Accept, Accept-Encoding"), *encoding]


class Pace:
    """Lets others have the event loop when a turn has lasted long enough."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def rest(self) -> None:
        """Wait for the next turn, if this one has lasted."""
        if time.perf_counter() - self._since > _TURN_SECONDS:
            await asyncio.sleep(0)
            self._since = time.perf_counter()


def negotiated(accept: str, accept_encoding: str) -> Form:
    """Give the form that these two headers of a request ask for."""
    encoder, content_type = choose_encoder(accept)
    asked = [part.replace(" ", "") for part in accept_encoding.lower().split(",")]
    gzip = any(part.partition(";")[0] == "gzip" and not part.endswith((";q=0", ";q=0.0")) for part in asked)
    return Form(encoder, content_type, gzip)


async def page(form: Form, registry: CollectorRegistry, families: Iterable[Family], pace: Pace) -> AsyncIterator[bytes]:
    """Give the page: what the library's registry has, then these families."""
    pieces, size = [], 0
    for piece in _pieces(form, registry, families):
        pieces.append(piece)
        size += len(piece)
        if size >= _PIECE_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
        await pace.rest()
    yield b"".join(pieces)


async def packed(form: Form, families: Iterable[Family], pace: Pace) -> None:
    """Compress what has changed, if this form is compressed."""
    if not form.gzip:
        return
    for family in families:
        for block in family.blocks():
            block.packed(rich=form.rich)
            await pace.rest()


def _pieces(form: Form, registry: CollectorRegistry, families: Iterable[Family]) -> Iterator[bytes]:
    writer: _Writer = _Gzipped(rich=form.rich) if form.gzip else _Plain(rich=form.rich)
    yield writer.text(form.encoder(registry).removesuffix(_END))
    for family in families:
        yield writer.head(family)
        for block in family.blocks():
            yield writer.block(block)
    yield writer.end(_END if form.rich else b"")


class _Writer(Protocol):
    """Makes a page's bytes of its parts, in their order."""

    def text(self, text: bytes) -> bytes: ...
    def head(self, family: Family) -> bytes: ...
    def block(self, block: Block) -> bytes: ...
    def end(self, text: bytes) -> bytes: ...


class _Plain:
    def __init__(self, *, rich: bool) -> None:
        self._rich = rich

    def text(self, text: bytes) -> bytes:
        return text

    def head(self, family: Family) -> bytes:
        return family.head(rich=self._rich)

    def block(self, block: Block) -> bytes:
        return block.text(rich=self._rich)

    def end(self, text: bytes) -> bytes:
        return text


class _Gzipped:
    def __init__(self, *, rich: bool) -> None:
        self._rich = rich
        self._member = GzipMember()

    def text(self, text: bytes) -> bytes:
        return self._member.begin() + self._member.add(pack(text))

    def head(self, family: Family) -> bytes:
        return self._member.add(family.packed_head(rich=self._rich))

    def block(self, block: Block) -> bytes:
        return self._member.add(block.packed(rich=self._rich))

    def end(self, text: bytes) -> bytes:
        return self._member.add(pack(text)) + self._member.end()
