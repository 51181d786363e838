"""What is ordered of an agent, written to the workloads that make its pods: annotations, a new template, a count.

One patch of the workload holds the count and what is to be remembered of it, so that a manager that dies in between
leaves no half of it. It needs the verbs `get` and `patch` on the workload and nothing on its `/scale`.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec
from agent_contract.problems import Problem
from agent_contract.wire import DesiredState
from msgspec import Struct

from agent_manager.cluster.api import ApiFailed, ClusterApi
from agent_manager.cluster.objects import DESIRED_STATE_ANNOTATION, REPLICAS_ANNOTATION
from agent_manager.cluster.refusals import away, translated
from agent_manager.platform import Workload

RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"
PROGRESS_SECONDS: Final = 600.0
"""How long a Deployment may make no progress where it does not say: Kubernetes' own default."""
_LONGEST_PROGRESS_SECONDS: Final = 3600.0
"""A deadline that says "never" ends no action: after an hour a person should look."""
REQUEST_SECONDS: Final = 4.0
"""Less than what lies between the end of one manager's lease and the next one's: no order is on its way then."""
_TRIES: Final = 5
"""Others write to a workload too (its controller, an autoscaler, a person), but not five times in a row."""
_CONFLICT: Final = 409
_PLURALS: Final = {"Deployment": "deployments", "StatefulSet": "statefulsets"}
_MERGE: Final = "application/merge-patch+json"
_STRATEGIC: Final = "application/strategic-merge-patch+json"


class _Metadata(Struct, rename="camel", frozen=True):
    resource_version: str = ""
    generation: int = 0
    annotations: dict[str, str] | None = None


class _Strategy(Struct, frozen=True):
    type: str = ""


class _Spec(Struct, rename="camel", frozen=True):
    replicas: int = 1
    paused: bool = False
    progress_deadline_seconds: int | None = None
    update_strategy: _Strategy = _Strategy()


class Found(Struct, frozen=True):
    """A workload as it was just read or written."""

    metadata: _Metadata
    spec: _Spec = _Spec()

    @property
    def generation(self) -> int:
        """Counts the changes of its spec: who sees this one or a later one sees what was ordered."""
        return self.metadata.generation

    @property
    def replicas(self) -> int:
        """How many pods it asks for."""
        return self.spec.replicas

    @property
    def kept_replicas(self) -> int | None:
        """How many it asked for before it was stopped; None where nobody noted a sound number above 0."""
        text = (self.metadata.annotations or {}).get(REPLICAS_ANNOTATION, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 and int(text) > 0 else None  # noqa: PLR2004  # no workload has a million pods

    @property
    def is_stopped(self) -> bool:
        """Whether it has no pod, and a stop is written on it."""
        return self.replicas == 0 and (self.metadata.annotations or {}).get(DESIRED_STATE_ANNOTATION) == "stopped"

    @property
    def progress_seconds(self) -> float:
        """How long a rollout of it may make no progress."""
        said = self.spec.progress_deadline_seconds
        return PROGRESS_SECONDS if said is None else min(float(said), _LONGEST_PROGRESS_SECONDS)


class WorkloadOrders:
    """Writes orders to workloads.

    All of it raises Problem 403 `rbac-denied`, 409 `not-supported`, 503 `unavailable`. `check` is called before each
    write that only the leader does, and raises 503 `no-leader`: a lease may run out between two of them.
    """

    def __init__(self, api: ClusterApi, check: Callable[[], None]) -> None:
        self._api = api
        self._check = check

    async def read(self, workload: Workload) -> Found:
        """Give the workload as it is now."""
        with translated("get", resource_of(workload), workload.namespace, workload.name):
            return _decoded(await self._api.request("GET", _path(workload), timeout_seconds=REQUEST_SECONDS))

    async def keep(self, workload: Workload, state: DesiredState) -> None:
        """Note what the agent is to be: its pods to come are told so, also by another manager."""
        body = {"metadata": {"annotations": {DESIRED_STATE_ANNOTATION: state}}}
        for tries_left in reversed(range(_TRIES)):
            if await self._patch(workload, body, may_conflict=tries_left > 0) is not None:
                return

    async def restart(self, workload: Workload, at: datetime) -> Found:
        """Have every pod replaced by the workload's own rules, as `kubectl rollout restart` does."""
        found = await self.read(workload)
        _refuse_rollout(workload, found)
        annotations = {RESTARTED_AT: at.isoformat(timespec="seconds").replace("+00:00", "Z")}
        body = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
        self._check()
        with translated("patch", resource_of(workload), workload.namespace, workload.name):
            return await self._send(workload, body, _STRATEGIC)

    async def scale_down(self, workload: Workload) -> Found:
        """Have no pod of it, and keep the count that it had where that was above 0. An autoscaler of it rests."""

        def patch(found: Found) -> dict[str, Any]:
            annotations = {DESIRED_STATE_ANNOTATION: "stopped"}
            if found.replicas > 0:
                annotations[REPLICAS_ANNOTATION] = str(found.replicas)
            return {"metadata": {"annotations": annotations}, "spec": {"replicas": 0}}

        return await self._change(workload, patch)

    async def scale_up(self, workload: Workload) -> Found:
        """Have the kept count of pods again, one where there is none. One that has pods keeps as many."""

        def patch(found: Found) -> dict[str, Any]:
            annotations: dict[str, str | None] = {DESIRED_STATE_ANNOTATION: "running", REPLICAS_ANNOTATION: None}
            count = found.replicas or found.kept_replicas or 1
            return {"metadata": {"annotations": annotations}, "spec": {"replicas": count}}

        return await self._change(workload, patch)

    async def _change(self, workload: Workload, patch: Callable[[Found], dict[str, Any]]) -> Found:
        """Patch by what was read, and read again where somebody else wrote meanwhile."""
        for tries_left in reversed(range(_TRIES)):
            found = await self.read(workload)
            body = patch(found)
            self._check()
            body["metadata"]["resourceVersion"] = found.metadata.resource_version
            changed = await self._patch(workload, body, may_conflict=tries_left > 0)
            if changed is not None:
                return changed
        raise AssertionError("the last try gives or raises")

    async def _patch(self, workload: Workload, body: dict[str, Any], *, may_conflict: bool) -> Found | None:
        with translated("patch", resource_of(workload), workload.namespace, workload.name):
            try:
                return await self._send(workload, body, _MERGE)
            except ApiFailed as error:
                if error.status != _CONFLICT or not may_conflict:
                    raise
                return None

    async def _send(self, workload: Workload, body: dict[str, Any], content_type: str) -> Found:
        answer = await self._api.request(
            "PATCH",
            _path(workload),
            body=msgspec.json.encode(body),
            content_type=content_type,
            timeout_seconds=REQUEST_SECONDS,
        )
        return _decoded(answer)


def resource_of(workload: Workload) -> str:
    """Give its kind as RBAC and `kubectl` spell it: `deployments.apps`."""
    return f"{_PLURALS[workload.kind]}.apps"


def called(workload: Workload) -> str:
    """Give its name as people type it: `deployment/planner`."""
    return f"{workload.kind.lower()}/{workload.name}"


def _path(workload: Workload) -> str:
    return f"/apis/apps/v1/namespaces/{workload.namespace}/{_PLURALS[workload.kind]}/{workload.name}"


def _refuse_rollout(workload: Workload, found: Found) -> None:
    """Refuse what would never end: pods that nobody replaces."""
    if found.spec.paused:
        command = f"kubectl rollout resume {called(workload)} --namespace {workload.namespace}"
        raise Problem("not-supported", f"the rollout of {called(workload)} is paused: {command}")
    if found.spec.update_strategy.type == "OnDelete":
        command = f"kubectl delete pod --namespace {workload.namespace} POD"
        raise Problem(
            "not-supported", f"{called(workload)} replaces a pod only when it is deleted (OnDelete): {command}"
        )


def _decoded(answer: bytes) -> Found:
    try:
        return msgspec.json.decode(answer, type=Found)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise away(f"cannot read what the API server says of a workload: {error}") from error
