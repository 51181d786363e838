"""From the API's Deployments and StatefulSets to what the manager knows of them."""

from typing import Final, get_args

from agent_contract.wire import DesiredState

from agent_manager.cluster.objects import (
    DESIRED_STATE_ANNOTATION,
    REPLICAS_ANNOTATION,
    WorkloadObject,
    WorkloadStatus,
)
from agent_manager.platform import Workload, WorkloadKind

_STATES: Final[dict[str, DesiredState]] = {state: state for state in get_args(DesiredState)}
_MAX_REPLICAS: Final = 2**31 - 1
"""The API's own bound."""
_MAX_REPLICAS_DIGITS: Final = 10


def read_workload(thing: WorkloadObject, kind: WorkloadKind) -> Workload:
    """Give the workload that an object of the API describes. An annotation that makes no sense is none."""
    replicas = 1 if thing.spec.replicas is None else thing.spec.replicas
    return Workload(
        uid=thing.metadata.uid,
        agent_id=thing.metadata.agent_id,
        kind=kind,
        namespace=thing.metadata.namespace,
        name=thing.metadata.name,
        replicas=replicas,
        kept_replicas=_kept(thing.metadata.annotation(REPLICAS_ANNOTATION)),
        desired_state=_desired(thing.metadata.annotation(DESIRED_STATE_ANNOTATION), replicas),
        generation=thing.metadata.generation or 0,
        rolling=_is_rolling(thing, kind, replicas),
    )


def _kept(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= _MAX_REPLICAS_DIGITS):
        return None
    count = int(text)
    return count if 0 < count <= _MAX_REPLICAS else None


def _desired(text: str | None, replicas: int) -> DesiredState | None:
    state = _STATES.get(text or "")
    return "running" if state == "stopped" and replicas > 0 else state  # somebody scaled it by hand


def _is_rolling(thing: WorkloadObject, kind: WorkloadKind, replicas: int) -> bool:
    """Tell whether a new template is under way and not every pod is of it, and available.

    Pods that are not available are no sign by themselves: those of a paused agent are never ready. So the sign is what
    the controller says of its rollout: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
    """
    status = thing.status or WorkloadStatus()
    if status.observed_generation < (thing.metadata.generation or 0):
        return True
    if kind == "StatefulSet":
        strategy = thing.spec.update_strategy
        by_hand = strategy is not None and strategy.type == "OnDelete"
        return not by_hand and status.current_revision != status.update_revision
    if status.updated_replicas < replicas or status.replicas > status.updated_replicas:
        return True
    return status.available_replicas < status.updated_replicas and not _is_rolled_out(status)


def _is_rolled_out(status: WorkloadStatus) -> bool:
    progress = next((one for one in status.conditions or () if one.type == "Progressing"), None)
    return progress is not None and progress.reason == "NewReplicaSetAvailable"
