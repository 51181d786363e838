"""One task in a child: what the child says of it, in order, until its last word."""

import asyncio
from typing import Final

from agent_contract.problems import Problem
from msgspec import UNSET

from agent_adapter.agents.context import Context
from agent_adapter.agents.json_lines import FromChild

_WORDS_WAITING: Final = 1000
"""Words on one task that may wait for its reader; then the child's stdout is not read on."""


class ChildTask:
    """A task that was handed to a child."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.has_ended = False
        """Whether its last word was taken, or the child is gone."""
        self.streamed = False
        """Whether it had chunks: then a result of null stands for their list."""
        self.over = asyncio.Event()
        """Set when the adapter has let go of it."""
        self._words: asyncio.Queue[FromChild | Problem] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()

    async def hear(self, said: FromChild) -> None:
        """Take a word; waits while too many wait for the reader."""
        if said.progress is not UNSET:
            _report(said.progress, self.context)
            return
        self._words.put_nowait(said)
        if self._words.qsize() >= _WORDS_WAITING:
            self._room.clear()
            await self._room.wait()

    async def chunk_taken(self) -> None:
        """Learn that the reader took a chunk; an ordinary child is not told."""

    def fail(self, problem: Problem) -> None:
        """Say the last word for the child: it cannot."""
        self._words.put_nowait(problem)

    async def next_word(self) -> FromChild:
        """Give the next word; raises the problem that ended the task."""
        said = await self._words.get()
        if self._words.qsize() < _WORDS_WAITING:
            self._room.set()
        if isinstance(said, Problem):
            self.has_ended = True
            raise said
        self.has_ended = said.is_last
        return said

    def let_go(self) -> None:
        """Let those go who wait for its room or its end."""
        self._room.set()
        self.over.set()


def _report(progress: object, context: Context) -> None:
    if isinstance(progress, dict):
        fraction, message = progress.get("fraction"), progress.get("message")
    else:
        fraction, message = progress, None
    number = isinstance(fraction, int | float) and not isinstance(fraction, bool)
    context.report_progress(fraction if number else None, message)
