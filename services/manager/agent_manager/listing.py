"""The fleet as JSON: the whole listing, one agent, and a stream of changes.

Each agent's text is made once and kept until something in it changes. What every beat changes, `lastSeen`, is filled in
alone: a thousand agents that beat are listed in the time it takes to join their texts.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from agent_contract.sse import encode_event

from agent_manager.records import AgentRecord
from agent_manager.registry import Registry
from agent_manager.views import view

_BATCH: Final = 100
"""How many changes are made into one write."""


_GAP: Final = b'"lastSeen":"0001-01-01T00:00:00Z"'


class _Text:
    """The text of one agent: pieces between the places where `lastSeen` of a process stands, in their order.

    Pods without one come after them, and were never heard of: they are part of the last piece.
    """

    __slots__ = ("_pieces", "_record", "_revision", "_touched", "text")

    def __init__(self, record: AgentRecord) -> None:
        self._record = record
        self._revision = self._touched = -1
        self._pieces: list[bytes] = []
        self.text = b""

    def bring_up_to_date(self, encoder: msgspec.json.Encoder) -> bytes:
        """Give the text as the record is now."""
        record = self._record
        if self._touched == record.touched:
            return self.text
        if self._revision != record.revision:
            self._revision = record.revision
            self._pieces = encoder.encode(view(record, unseen=True)).split(_GAP)
        if len(self._pieces) == len(record.instances) + 1:
            parts = [self._pieces[0]]
            for instance, piece in zip(record.instances.values(), self._pieces[1:], strict=True):
                parts += (b'"lastSeen":', encoder.encode(instance.last_seen), piece)
            self.text = b"".join(parts)
        else:  # a schema holds the very text of the gap
            self.text = encoder.encode(view(record))
        self._touched = record.touched
        return self.text

    def is_of(self, record: AgentRecord) -> bool:
        """Tell whether this is the text of this record, and not of an earlier one of the same agent."""
        return self._record is record


class Listing:
    """The registry's content as JSON text, and as it changes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._encoder = msgspec.json.Encoder()
        self._texts: dict[str, _Text] = {}
        self._frames: dict[str, tuple[int, bytes]] = {}
        self._followers: set[_Follower] = set()
        registry.subscribe(self._changed)

    def whole(self) -> bytes:
        """Give the whole listing."""
        texts = [self._text(record) for record in self._registry.agents.values()]
        return b'{"revision":%d,"agents":[%b]}' % (self._registry.revision, b",".join(texts))

    def agent(self, agent_id: str) -> bytes | None:
        """Give one agent, or None for an unknown one."""
        record = self._registry.find(agent_id)
        return None if record is None else self._text(record)

    async def watch(self) -> AsyncIterator[bytes]:
        """Give the listing and then every change as SSE frames, for ever.

        A reader that is slow gets the latest state of each agent that changed meanwhile, not each step of it: what
        waits for it is bounded by the number of agents.
        """
        follower = _Follower()
        self._followers.add(follower)
        try:
            yield encode_event("listing", self.whole())
            while True:
                await follower.woken.wait()
                changed = follower.take()
                for start in range(0, len(changed), _BATCH):
                    yield b"".join([self._frame(agent_id) for agent_id in changed[start : start + _BATCH]])
        finally:
            self._followers.discard(follower)

    def _changed(self, agent_id: str) -> None:
        if agent_id not in self._registry.agents:
            self._texts.pop(agent_id, None)
            self._frames.pop(agent_id, None)
        for follower in self._followers:
            follower.tell(agent_id)

    def _text(self, record: AgentRecord) -> bytes:
        text = self._texts.get(record.id)
        if text is None or not text.is_of(record):
            text = self._texts[record.id] = _Text(record)
        return text.bring_up_to_date(self._encoder)

    def _frame(self, agent_id: str) -> bytes:
        """Give the event of an agent as it is now; every follower gets the same bytes."""
        record = self._registry.find(agent_id)
        if record is None:
            removed = {"revision": self._registry.revision, "removed": agent_id}
            return encode_event("agent", self._encoder.encode(removed))
        kept = self._frames.get(agent_id)
        if kept is not None and kept[0] == record.revision:
            return kept[1]
        frame = encode_event("agent", b'{"revision":%d,"agent":%b}' % (record.revision, self._text(record)))
        self._frames[agent_id] = (record.revision, frame)
        return frame


class _Follower:
    """A reader of the watch stream, and which agents it has yet to be told of, the one that changed last at the end."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self._changed: dict[str, None] = {}

    def tell(self, agent_id: str) -> None:
        """Note a change."""
        self._changed.pop(agent_id, None)
        self._changed[agent_id] = None
        self.woken.set()

    def take(self) -> list[str]:
        """Give what changed, and wait for the next change."""
        self.woken.clear()
        changed, self._changed = list(self._changed), {}
        return changed
