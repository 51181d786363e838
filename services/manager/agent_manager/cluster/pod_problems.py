"""What is wrong with a pod, for the one who has to mend it: which container, why, how often, since when.

Reasons are the kubelet's and the scheduler's own words. Nothing promises them; those below were seen.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from agent_contract.wire import ProblemState
from msgspec import Struct

from agent_manager.cluster.objects import (
    Condition,
    Container,
    ContainerState,
    ContainerStatus,
    PodObject,
    PodStatus,
    Terminated,
    Waiting,
)

OUT_OF_MEMORY_SECONDS: Final = 600.0
"""How long a container that was killed for its memory is told of though it runs again: somebody is to see it."""
PATIENCE_SECONDS: Final = 10.0
"""How long a pod may be in the making before that is a problem: every rollout makes some."""
_MOST_CHARACTERS: Final = 400
"""Of a message of the platform: a kubelet's may have thousands."""
_IMAGE: Final = frozenset(
    (
        *("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"),
        *("ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"),
    )
)
_CRASHES: Final = frozenset(("CrashLoopBackOff", "RunContainerError", "PostStartHookError"))
_IN_THE_MAKING: Final = frozenset(("ContainerCreating", "PodInitializing"))
_NOT_STARTED: Final = frozenset(("StartError", "ContainerCannotRun"))
_OUT_OF_MEMORY: Final = "OOMKilled"


class Verdict(Struct, frozen=True):
    """What is wrong, the platform's word for how it is, and when to judge the same object again."""

    problem: ProblemState | None = None
    reason: str | None = None
    again_at: datetime | None = None


class _Look(Struct, frozen=True):
    """A container, as it was asked for and as it is."""

    who: str
    container: Container
    status: ContainerStatus

    @property
    def waiting(self) -> Waiting | None:
        return None if self.status.state is None else self.status.state.waiting

    @property
    def runs(self) -> bool:
        return self.status.state is not None and self.status.state.running is not None

    @property
    def ended(self) -> Terminated | None:
        """How it ended, now or the last time."""
        return _terminated(self.status.state) or _terminated(self.status.last_state)


def verdict(thing: PodObject, adapter: Container | None, now: datetime) -> Verdict:
    """Give what is wrong with a pod: a container that cannot run comes before one that could not lately."""
    status = thing.status or PodStatus()
    looks = list(_looks(thing, status, adapter))
    since = _not_ready_since(thing, status, now)
    for look in looks:
        found = _image(look, since) or _memory(look, since) or _crash(look, since)
        if found is not None:
            return found
    for look in looks:
        found = _past_memory(look, now)
        if found is not None:
            return found
    return _pending(thing, status, looks, now)


def _looks(thing: PodObject, status: PodStatus, adapter: Container | None) -> Iterator[_Look]:
    """Give every container of which the kubelet has told, the adapter's first."""
    named = [("container", one) for one in thing.spec.containers or ()]
    before = thing.spec.init_containers or ()
    named += [("sidecar" if one.restart_policy == "Always" else "init container", one) for one in before]
    statuses = {one.name: one for one in (*(status.init_container_statuses or ()), *(status.container_statuses or ()))}
    for kind, one in sorted(named, key=lambda entry: entry[1] is not adapter):
        if one.name in statuses:
            yield _Look(f"{kind} {one.name}", one, statuses[one.name])


def _image(look: _Look, since: datetime) -> Verdict | None:
    waiting = look.waiting
    if waiting is None or waiting.reason not in _IMAGE:
        return None
    detail = f"cannot get the image {look.container.image} of {look.who}: {_said(waiting)}"
    return Verdict(ProblemState("image-pull", detail, since), waiting.reason)


def _memory(look: _Look, since: datetime) -> Verdict | None:
    ended = look.ended
    if look.runs or ended is None or ended.reason != _OUT_OF_MEMORY:
        return None
    return _out_of_memory(look, ended, since)


def _past_memory(look: _Look, now: datetime) -> Verdict | None:
    ended = look.ended
    if not look.runs or ended is None or ended.reason != _OUT_OF_MEMORY or ended.finished_at is None:
        return None
    until = ended.finished_at + timedelta(seconds=OUT_OF_MEMORY_SECONDS)
    return None if now >= until else _out_of_memory(look, ended, now, until)


def _out_of_memory(look: _Look, ended: Terminated, since: datetime, until: datetime | None = None) -> Verdict:
    limits = None if look.container.resources is None else look.container.resources.limits
    limit = f", limit {limits['memory']}" if limits and "memory" in limits else ""
    waits = f" ({look.waiting.reason})" if look.waiting else ""
    state = "it runs again" if look.runs else f"it does not run{waits}"
    detail = (
        f"{look.who} was killed for its memory (OOMKilled, exit code {ended.exit_code}{limit})"
        f"{_at(ended)}; {_times(look)}, {state}"
    )
    return Verdict(ProblemState("oom-killed", detail, ended.finished_at or since), _OUT_OF_MEMORY, until)


def _crash(look: _Look, since: datetime) -> Verdict | None:
    """Give that a container ended and should not have, or ends whenever it is started."""
    waiting, ended = look.waiting, look.ended
    backs_off = waiting is not None and waiting.reason in _CRASHES
    ended_badly = waiting is None and not look.runs and ended is not None and ended.exit_code != 0
    if not backs_off and not ended_badly:
        return None
    pieces = [f"{look.who} does not stay up"]
    if ended is not None:
        # of its own last words nothing is told: they may be the tail of its log
        why = f": {_short(ended.message)}" if ended.message and ended.reason in _NOT_STARTED else ""
        pieces.append(f": it ended with exit code {ended.exit_code} ({ended.reason or 'no reason'}){_at(ended)}{why}")
    pieces.append(f"; {_times(look)}")
    if waiting is not None and not (ended and ended.message == waiting.message):
        message = (waiting.message or "").partition(" restarting ")[0]  # what follows are the pod's own name and uid
        pieces.append(f"; {waiting.reason}: {_short(message)}")
    word: Waiting | Terminated | None = waiting or ended
    return Verdict(ProblemState("crash-loop", "".join(pieces), since), None if word is None else word.reason)


def _pending(thing: PodObject, status: PodStatus, looks: list[_Look], now: datetime) -> Verdict:
    """Give why a pod is not up yet: at once where somebody says what is missing, else when it takes too long."""
    created = thing.metadata.creation_timestamp or now
    unscheduled = _condition(status, "PodScheduled")
    if unscheduled is not None and unscheduled.status != "True":
        detail = f"no node was found: {_said(unscheduled)}"
        since = unscheduled.last_transition_time or created
        return Verdict(ProblemState("pending", detail, since), unscheduled.reason)
    waits = [(look, look.waiting) for look in looks if look.waiting is not None]
    for look, waiting in waits:
        if waiting.reason and waiting.reason not in _IN_THE_MAKING:
            detail = f"{look.who} cannot be started: {_said(waiting)}"
            return Verdict(ProblemState("pending", detail, created), waiting.reason)
    if status.phase not in (None, "Pending"):
        return Verdict()
    reason = next((waiting.reason for _, waiting in waits), None)
    due = created + timedelta(seconds=PATIENCE_SECONDS)
    if now < due:
        return Verdict(None, reason, due)
    return Verdict(ProblemState("pending", _slow(looks, reason), created), reason)


def _slow(looks: list[_Look], reason: str | None) -> str:
    running = next((look.who for look in looks if look.who.startswith("init container") and look.runs), None)
    if running is not None:
        return f"it waits for {running} to end"
    return f"its containers are not made yet ({reason or 'no reason given'}): kubectl describe shows its events"


def _not_ready_since(thing: PodObject, status: PodStatus, now: datetime) -> datetime:
    """Give since when its containers are not all ready: of a wait itself the kubelet gives no time."""
    ready = _condition(status, "ContainersReady")
    since = None if ready is None or ready.status == "True" else ready.last_transition_time
    return since or thing.metadata.creation_timestamp or now


def _condition(status: PodStatus, kind: str) -> Condition | None:
    return next((one for one in status.conditions or () if one.type == kind), None)


def _terminated(state: ContainerState | None) -> Terminated | None:
    return None if state is None else state.terminated


def _said(said: Waiting | Condition) -> str:
    return f"{said.reason or 'no reason'}: {_short(said.message)}" if said.message else said.reason or "no reason given"


def _short(message: str | None) -> str:
    text = " ".join((message or "").split())
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."


def _at(ended: Terminated) -> str:
    return "" if ended.finished_at is None else f" at {ended.finished_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _times(look: _Look) -> str:
    count = look.status.restart_count
    return "not restarted yet" if count == 0 else f"restarted {count} time{'s' * (count > 1)}"
