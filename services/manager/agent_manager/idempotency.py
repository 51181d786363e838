"""Idempotency keys: a key goes where it went before, so that what it began does not run twice.

The adapter that has seen a key answers it with the first result. The manager's part is to find that adapter: from
memory, by asking the instances when it might have missed the first use, or from what an instance handed over.
"""

import hashlib
from collections.abc import Callable
from enum import Enum
from typing import Any, Final
from urllib.parse import quote

import msgspec
from agent_contract.problems import Problem

from agent_manager.answers import Answer, of_problem, outcome_unknown
from agent_manager.forward import Forward
from agent_manager.handed_over import Kept, ResultStore
from agent_manager.holding import first_beats_until
from agent_manager.kept_answers import kept_answer
from agent_manager.live import Live, Said
from agent_manager.records import Instance
from agent_manager.registry import Registry

KEPT_SECONDS: Final = 3600.0
"""How long an adapter remembers a key after its task ended."""
MAX_KEYS: Final = 100_000
_ASK_SECONDS: Final = 1.0
_LONGEST: Final = 255


class Place(Enum):
    """Where a key may go, when it is no single instance."""

    ANYWHERE = 1
    NOT_KNOWN_YET = 2


class _Sent(msgspec.Struct):
    instance_id: str
    task_id: str
    body_digest: bytes | None
    answered_at: float | None = None
    """Monotonic; None while the first call with this key is in hand."""
    told_unknown: bool = False
    """The answer to the last call with this key was lost, and its client was told so."""


class _Tasks(msgspec.Struct):
    tasks: list[dict[str, Any]]


def read_key(value: bytes | None) -> str | None:
    """Give an idempotency key that an adapter takes; None for none, and for one that it will refuse."""
    if value is None:
        return None
    text = value.decode("latin-1").strip()
    return text if 1 <= len(text) <= _LONGEST and text.isprintable() else None


class Keys:
    """Remembers where keys went, the oldest forgotten first."""

    def __init__(
        self,
        registry: Registry,
        live: Live,
        results: ResultStore,
        *,
        clock: Callable[[], float],
        max_keys: int = MAX_KEYS,
        alone: bool = True,
    ) -> None:
        self._registry = registry
        self._live = live
        self._results = results
        self._clock = clock
        self._max_keys = max_keys
        self._alone = alone
        self._sent: dict[tuple[str, str], _Sent] = {}
        self._missed_until = registry.started_at + KEPT_SECONDS

    async def look(self, call: Forward) -> Answer | Instance | Place:
        """Give what became of the key's first use, the instance that knows, or where the call may go.

        `ANYWHERE` holds until the next await: two calls with one key must not go to two instances.
        """
        while True:
            sent = self._sent.get((call.agent_id, call.key or ""))
            if sent is not None:
                return self._where(call, sent)
            kept = self._results.find_key(call.agent_id, call.key or "")
            if kept is not None:
                return self._answer(call, kept, None)
            if self._alone and self._clock() >= self._missed_until:
                return Place.ANYWHERE
            record = self._registry.find(call.agent_id)
            known = [] if record is None else list(record.instances.values())
            unasked = [one for one in known if one.instance_id not in call.asked]
            if not unasked:
                heard_all_at = first_beats_until(self._registry.started_at, self._registry.timing)
                return Place.ANYWHERE if self._clock() >= heard_all_at else Place.NOT_KNOWN_YET
            if not await self._ask(call, unasked):
                return Place.NOT_KNOWN_YET

    def sending(self, call: Forward, instance: Instance) -> None:
        """Note that the call is sent there, before it is."""
        if call.key is None or (call.agent_id, call.key) in self._sent:
            return
        digest = hashlib.sha256(call.body).digest()
        self._keep(call, _Sent(instance.instance_id, call.task_id, digest))

    def not_begun(self, call: Forward, *, refused: bool) -> None:
        """Note that no work began: the key is free again, unless its first call is still on its way there.

        A refusal proves more than a failed connect: the adapter looks for the key before it refuses.
        """
        sent = self._sent.get((call.agent_id, call.key or ""))
        if sent is None:
            return
        own = sent.task_id == call.task_id
        if own or (refused and sent.answered_at is not None):
            del self._sent[call.agent_id, call.key or ""]

    def ended(self, call: Forward, *, lost: bool = False) -> None:
        """Note that the call is not in hand any more; `lost`: its client is told that the outcome is unknown."""
        sent = self._sent.get((call.agent_id, call.key or ""))
        if sent is None:
            return
        sent.told_unknown = lost
        if sent.task_id == call.task_id:
            sent.answered_at = self._clock()

    def task_of(self, call: Forward) -> str:
        """Give the task that the call is about: the one that its key began, else its own."""
        sent = self._sent.get((call.agent_id, call.key or ""))
        return call.task_id if sent is None else sent.task_id

    def is_bound(self, call: Forward) -> bool:
        """Tell whether the key may go to one instance only."""
        return (call.agent_id, call.key or "") in self._sent

    def _where(self, call: Forward, sent: _Sent) -> Answer | Instance | Place:
        record = self._registry.find(call.agent_id)
        instance = None if record is None else record.instances.get(sent.instance_id)
        if instance is not None:
            return instance
        kept = self._results.find_key(call.agent_id, call.key or "")
        if kept is not None:
            return self._answer(call, kept, sent.body_digest)
        del self._sent[call.agent_id, call.key or ""]
        if sent.told_unknown or (sent.answered_at or self._clock()) <= self._clock() - KEPT_SECONDS:
            return Place.ANYWHERE
        detail = f"task {sent.task_id} began with this key, and its instance was lost; the next use runs anew"
        return of_problem(outcome_unknown(sent.task_id, detail), instance_id=sent.instance_id, task_id=sent.task_id)

    async def _ask(self, call: Forward, instances: list[Instance]) -> bool:
        """Ask instances for the key; False when one of them could not be asked, so that nobody can tell."""
        target = f"/tasks?limit=1&key={quote(call.key or '', safe='')}"
        answers = await self._live.ask_all(instances, "GET", target, timeout_seconds=_ASK_SECONDS)
        for said in answers:
            found = _first_task(said)
            if found is not None and not self.is_bound(call):
                self._keep(call, _Sent(said.instance.instance_id, found, None, self._clock()))
            if said.ok or said.refused:
                call.asked |= {said.instance.instance_id}
        return self.is_bound(call) or all(said.ok or said.refused for said in answers)

    def _answer(self, call: Forward, kept: Kept, body_digest: bytes | None) -> Answer:
        if body_digest is not None and body_digest != hashlib.sha256(call.body).digest():
            detail = "this idempotency key came with another body before"
            return of_problem(Problem("key-reused", detail, field="Idempotency-Key"), task_id=call.task_id)
        return kept_answer(kept, agent_id=call.agent_id, headers=dict(call.headers))

    def _keep(self, call: Forward, sent: _Sent) -> None:
        self._sent[call.agent_id, call.key or ""] = sent
        if len(self._sent) > self._max_keys:
            del self._sent[next(iter(self._sent))]
            self._missed_until = self._clock() + KEPT_SECONDS


def _first_task(said: Said) -> str | None:
    listed = said.read(_Tasks)
    found = listed.tasks[0].get("taskId") if isinstance(listed, _Tasks) and listed.tasks else None
    return found if isinstance(found, str) else None
