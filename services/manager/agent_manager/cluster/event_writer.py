"""Writes Events (events.k8s.io/v1) one after the other: bounded, at a bounded rate, and nobody waits for it.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct

from agent_manager.cluster.api import ApiFailed, ApiUnreachable, ClusterApi
from agent_manager.platform import Pod, Workload

Thing = Pod | Workload

QUEUED: Final = 1_000
"""Events that may wait to be written, about 1 MB; what comes after that is dropped and counted."""
SPACING_SECONDS: Final = 0.05
"""Between two writes: a node that dies with 500 agents is told of within a minute, and the API server hardly minds."""
WAITS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""How long it waits before it tries again, in seconds: an API server that restarts is back before the last."""
_REQUEST_SECONDS: Final = 5.0
_LAST_SECONDS: Final = 1.0
_NOTE_BYTES: Final = 1024
_LONGEST_NAME: Final = 200
_TOO_MANY: Final = 429
_SERVER_ERRORS: Final = 500
_CONTROLLER: Final = "agent-manager"

log = structlog.stdlib.get_logger(__name__)


class _Written(Struct, frozen=True):
    """An Event that waits to be written."""

    namespace: str
    body: dict[str, Any]


class EventWriter:
    """Takes Events at any time, and writes them when it can."""

    def __init__(
        self,
        api: ClusterApi,
        *,
        identity: str,
        wall: Callable[[], datetime],
        spacing_seconds: float = SPACING_SECONDS,
        waits: tuple[float, ...] = WAITS,
    ) -> None:
        self.failures: Counter[str] = Counter()
        """How many Events were not written, by why: `full`, the API's own reason, or `unreachable`."""
        self._api = api
        self._identity = identity
        self._wall = wall
        self._spacing_seconds = spacing_seconds
        self._waits = waits
        self._queue: asyncio.Queue[_Written] = asyncio.Queue(QUEUED)
        self._troubles: dict[str, str] = {}

    def put(self, thing: Thing, reason: str, action: str, note: str, *, warning: bool) -> None:
        """Have an Event written about a pod or workload; a note is cut at the API's 1,024 bytes."""
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{thing.name[:_LONGEST_NAME]}.{secrets.token_hex(8)}", "namespace": thing.namespace},
            "eventTime": self._wall().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "action": action,
            "note": note.encode()[:_NOTE_BYTES].decode(errors="ignore"),
            "reportingController": _CONTROLLER,
            "reportingInstance": self._identity,
            "regarding": _reference(thing),
        }
        try:
            self._queue.put_nowait(_Written(thing.namespace, body))
        except asyncio.QueueFull:
            self.failures["full"] += 1
            self._note(thing.namespace, "full", "they come faster than they are written")

    async def run(self) -> None:
        """Write what was put, for ever; what waits when this is cancelled has a second: it says what was not done."""
        event: _Written | None = None
        try:
            while True:
                event = await self._queue.get()
                await self._write(event)
                event = None
                await asyncio.sleep(self._spacing_seconds)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await self._write_rest(event)

    async def _write_rest(self, interrupted: _Written | None) -> None:
        if interrupted is not None:
            await self._write(interrupted)
        while not self._queue.empty():
            await self._write(self._queue.get_nowait())

    async def _write(self, event: _Written) -> None:
        path, body = f"/apis/events.k8s.io/v1/namespaces/{event.namespace}/events", msgspec.json.encode(event.body)
        for wait in (*self._waits, None):
            try:
                await self._api.request("POST", path, body=body, timeout_seconds=_REQUEST_SECONDS)
                break
            except (ApiFailed, ApiUnreachable) as error:
                reason = (error.reason or str(error.status)) if isinstance(error, ApiFailed) else "unreachable"
                if reason == "AlreadyExists":  # the try before arrived, and its answer did not
                    break
                self._note(event.namespace, reason, str(error))
                if wait is None or not _may_pass(error):
                    self.failures[reason] += 1
                    return
                await asyncio.sleep(wait)
        self._note(event.namespace, None)

    def _note(self, namespace: str, trouble: str | None, detail: str = "") -> None:
        """Log what keeps a namespace's Events from being written when it begins or becomes another, and its end."""
        before = self._troubles.pop(namespace, None)
        if trouble is not None:
            self._troubles[namespace] = trouble
        if trouble == before:
            return
        if trouble is None:
            log.info("kubernetes events are written again", namespace=namespace, not_written=dict(self.failures))
        else:
            log.warning("cannot write kubernetes events", namespace=namespace, reason=trouble, detail=detail)


def _reference(thing: Thing) -> dict[str, str]:
    kind, version = ("Pod", "v1") if isinstance(thing, Pod) else (thing.kind, "apps/v1")
    return {
        "apiVersion": version,
        "kind": kind,
        "namespace": thing.namespace,
        "name": thing.name,
        "uid": thing.uid,
    }


def _may_pass(error: ApiFailed | ApiUnreachable) -> bool:
    if isinstance(error, ApiUnreachable):
        return True
    return error.status == _TOO_MANY or error.status >= _SERVER_ERRORS
