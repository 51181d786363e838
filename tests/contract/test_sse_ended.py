"""Streams without an end of their own: they end when they are told to, and what they read from is closed."""

import asyncio
from collections.abc import AsyncGenerator

from agent_contract.sse import ended_by


class Source:
    """Gives so many items, then waits for ever; notes that it was closed."""

    def __init__(self, items: int, *, ends: bool = False) -> None:
        self.items = items
        self.ends = ends
        self.closed = False

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Give them."""
        try:
            for number in range(self.items):
                yield b"%d" % number
            if not self.ends:
                await asyncio.Event().wait()
        finally:
            self.closed = True


async def test_it_ends_when_it_is_told_to() -> None:
    """Whether its source has something or is silent; what came before is given."""
    event, source = asyncio.Event(), Source(2)
    found = []
    async for item in ended_by(event, source.stream()):
        found.append(item)
        if len(found) == 2:
            asyncio.get_running_loop().call_soon(event.set)
    assert (found, source.closed) == ([b"0", b"1"], True)


async def test_it_ends_with_its_source() -> None:
    """Untold."""
    source = Source(3, ends=True)
    assert [item async for item in ended_by(asyncio.Event(), source.stream())] == [b"0", b"1", b"2"]
    assert source.closed


async def test_a_reader_that_leaves_closes_the_source() -> None:
    """Also in the middle of its wait for the next item."""
    source = Source(1)
    stream = ended_by(asyncio.Event(), source.stream())
    assert await anext(stream) == b"0"
    reading = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])
    await stream.aclose()
    assert source.closed
