"""From the API's objects to the events of discovery: each is read, and told of where it is another than before.

An object that nobody can read, or whose label is no agent's id, is left out with one line in the log; what was known of
it stays.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec
import structlog
from agent_contract.identity import AGENT_ID_PATTERN
from msgspec import Raw

from agent_manager.cluster.objects import AGENT_LABEL, PORT_ANNOTATION, UNREADABLE, Metadata, PodObject, WorkloadObject
from agent_manager.cluster.pods import annotated_port, has_ended, read_pod
from agent_manager.cluster.workloads import read_workload
from agent_manager.discovery.events import Emit, PodGone, PodSeen, WorkloadGone, WorkloadSeen
from agent_manager.platform import Pod, Workload, WorkloadKind

_AGENT_ID: Final = re.compile(AGENT_ID_PATTERN)

log = structlog.stdlib.get_logger(__name__)


class PodMirror:
    """Tells of the pods of one namespace."""

    def __init__(
        self,
        emit: Emit,
        *,
        wall: Callable[[], datetime],
        appeared: Callable[[Pod], None],
        listed: Callable[[], None],
    ) -> None:
        self.pods: dict[str, Pod] = {}
        """Those that were told of, by uid."""
        self.listed = listed
        self._emit = emit
        self._appeared = appeared
        self._wall = wall
        self._oddities = _Oddities("pod")
        self._again: dict[str, tuple[datetime, PodObject]] = {}
        self._decoder = msgspec.json.Decoder(PodObject)

    def seen(self, metadata: Metadata, thing: Raw) -> None:
        """Take a pod that is new, or another than before."""
        if self._oddities.is_agent(metadata):
            try:
                pod = self._decoder.decode(thing)
            except UNREADABLE as error:
                self._oddities.warn(metadata, f"cannot read it: {error}")
            else:
                self._tell(pod)
        else:
            self._forget(metadata.uid)

    def gone(self, uid: str) -> None:
        """Take that a pod is there no more."""
        self._oddities.forget(uid)
        self._forget(uid)

    async def look_again(self) -> None:
        """Tell of the pods that read otherwise by now, though nothing of them changed but their age."""
        now = self._wall()
        for due, thing in tuple(self._again.values()):
            if due <= now:
                self._tell(thing)

    def _tell(self, thing: PodObject) -> None:
        uid = thing.metadata.uid
        if has_ended(thing):
            self._forget(uid)
            return
        if thing.metadata.annotation(PORT_ANNOTATION) is not None and annotated_port(thing) is None:
            self._oddities.warn(thing.metadata, f"its annotation {PORT_ANNOTATION} is no port")
        reading = read_pod(thing, self._wall())
        if reading.again_at is None:
            self._again.pop(uid, None)
        else:
            self._again[uid] = (reading.again_at, thing)
        known = self.pods.get(uid)
        if known == reading.pod:
            return
        if known is not None and known.agent_id != reading.pod.agent_id:
            self._emit(PodGone(uid=uid))
        self.pods[uid] = reading.pod
        self._emit(PodSeen(pod=reading.pod))
        if reading.pod.running and not (known is not None and known.running):
            self._appeared(reading.pod)

    def _forget(self, uid: str) -> None:
        self._again.pop(uid, None)
        if self.pods.pop(uid, None) is not None:
            self._emit(PodGone(uid=uid))


class WorkloadMirror:
    """Tells of the workloads of one kind in one namespace."""

    def __init__(self, kind: WorkloadKind, emit: Emit, *, listed: Callable[[], None]) -> None:
        self.workloads: dict[str, Workload] = {}
        """Those that were told of, by uid."""
        self.listed = listed
        self._kind = kind
        self._emit = emit
        self._oddities = _Oddities(kind)
        self._decoder = msgspec.json.Decoder(WorkloadObject)

    def seen(self, metadata: Metadata, thing: Raw) -> None:
        """Take a workload that is new, or another than before."""
        if not self._oddities.is_agent(metadata):
            self._forget(metadata.uid)
            return
        try:
            workload = read_workload(self._decoder.decode(thing), self._kind)
        except UNREADABLE as error:
            self._oddities.warn(metadata, f"cannot read it: {error}")
            return
        known = self.workloads.get(workload.uid)
        if known == workload:
            return
        if known is not None and known.agent_id != workload.agent_id:
            self._emit(WorkloadGone(uid=workload.uid))
        self.workloads[workload.uid] = workload
        self._emit(WorkloadSeen(workload=workload))

    def gone(self, uid: str) -> None:
        """Take that a workload is there no more."""
        self._oddities.forget(uid)
        self._forget(uid)

    def _forget(self, uid: str) -> None:
        if self.workloads.pop(uid, None) is not None:
            self._emit(WorkloadGone(uid=uid))


class _Oddities:
    """Warns of odd objects, of each once."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._warned: set[str] = set()

    def is_agent(self, metadata: Metadata) -> bool:
        """Tell whether an object's label names an agent."""
        if _AGENT_ID.fullmatch(metadata.agent_id):
            return True
        self.warn(metadata, f"its label {AGENT_LABEL} is no agent's id: {metadata.agent_id!r}")
        return False

    def warn(self, metadata: Metadata, reason: str) -> None:
        """Say what is odd about an object, the first time."""
        if metadata.uid not in self._warned:
            self._warned.add(metadata.uid)
            log.warning("odd object", kind=self._kind, namespace=metadata.namespace, name=metadata.name, reason=reason)

    def forget(self, uid: str) -> None:
        """Forget an object that is gone."""
        self._warned.discard(uid)
