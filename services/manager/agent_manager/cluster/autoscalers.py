"""KEDA's hold on a workload: a ScaledObject brings back what was scaled to nothing, unless it is paused.

A plain HorizontalPodAutoscaler needs nothing of this: at a count of 0 it rests by itself and goes on at the next start
(https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation).
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from agent_contract.problems import Problem
from msgspec import Struct

from agent_manager.cluster.api import ApiFailed, ClusterApi
from agent_manager.cluster.refusals import away, translated
from agent_manager.cluster.workload_orders import REQUEST_SECONDS, called
from agent_manager.platform import Workload

PAUSED_REPLICAS: Final = "autoscaling.keda.sh/paused-replicas"
_RESOURCE: Final = "scaledobjects.keda.sh"
_OF_KEDA: Final = "scaledobject.keda.sh/name"
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404


class _Owner(Struct, frozen=True):
    kind: str = ""
    name: str = ""


class _Metadata(Struct, rename="camel", frozen=True):
    name: str
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[_Owner] = []


class _Target(Struct, frozen=True):
    name: str = ""
    kind: str = "Deployment"


class _Spec(Struct, rename="camel", frozen=True):
    scale_target_ref: _Target = _Target()


class _Autoscaler(Struct, frozen=True):
    """A ScaledObject or a HorizontalPodAutoscaler: both say in the same words what they scale."""

    metadata: _Metadata
    spec: _Spec = _Spec()

    @property
    def scaled_object(self) -> str | None:
        """The ScaledObject that made this HorizontalPodAutoscaler; None where KEDA did not."""
        labelled = (self.metadata.labels or {}).get(_OF_KEDA)
        owners = [owner.name for owner in self.metadata.owner_references if owner.kind == "ScaledObject"]
        return labelled or next(iter(owners), None)


class _Listed(Struct, frozen=True):
    items: list[_Autoscaler] = []


class Autoscalers:
    """Lets KEDA leave workloads alone that were stopped. `check` is called before each write, as in `WorkloadOrders`.

    All of it raises Problem 409 `autoscaled` where KEDA scales the workload and the manager may not tell it, and what
    `translated` raises.
    """

    def __init__(self, api: ClusterApi, check: Callable[[], None]) -> None:
        self._api = api
        self._check = check

    async def pause(self, workload: Workload) -> None:
        """Let KEDA keep the workload at 0; nothing happens where KEDA does not scale it."""
        command = f"{PAUSED_REPLICAS}=0 --overwrite"
        found = await self._scaled_object(workload, command)
        if found is not None:
            await self._annotate(workload, found.metadata.name, "0", command)

    async def resume(self, workload: Workload) -> bool:
        """Let KEDA scale the workload again; tells whether it was paused."""
        command = f"{PAUSED_REPLICAS}-"
        found = await self._scaled_object(workload, command)
        if found is None or PAUSED_REPLICAS not in (found.metadata.annotations or {}):
            return False
        await self._annotate(workload, found.metadata.name, None, command)
        return True

    async def _scaled_object(self, workload: Workload, command: str) -> _Autoscaler | None:
        path = _path(workload.namespace)
        with translated("list", _RESOURCE, workload.namespace):
            try:
                return _of(workload, await self._api.request("GET", path, timeout_seconds=REQUEST_SECONDS))
            except ApiFailed as error:
                if error.status == _NOT_FOUND:  # there is no such API: no KEDA
                    return None
                if error.status != _FORBIDDEN:
                    raise
        await self._refuse_what_keda_scales(workload, command)
        return None

    async def _refuse_what_keda_scales(self, workload: Workload, command: str) -> None:
        """Look for KEDA's trace at the workload's own autoscaler. Where nothing may be seen, there is none to heed."""
        path = f"/apis/autoscaling/v2/namespaces/{workload.namespace}/horizontalpodautoscalers"
        with translated("list", "horizontalpodautoscalers.autoscaling", workload.namespace):
            try:
                found = _of(workload, await self._api.request("GET", path, timeout_seconds=REQUEST_SECONDS))
            except ApiFailed as error:
                if error.status in (_FORBIDDEN, _NOT_FOUND):
                    return
                raise
        if found is not None and found.scaled_object is not None:
            raise _autoscaled(workload, found.scaled_object, command)

    async def _annotate(self, workload: Workload, name: str, value: str | None, command: str) -> None:
        self._check()
        body: dict[str, Any] = {"metadata": {"annotations": {PAUSED_REPLICAS: value}}}
        with translated("patch", _RESOURCE, workload.namespace, name):
            try:
                await self._api.request(
                    "PATCH",
                    f"{_path(workload.namespace)}/{name}",
                    body=msgspec.json.encode(body),
                    content_type="application/merge-patch+json",
                    timeout_seconds=REQUEST_SECONDS,
                )
            except ApiFailed as error:
                if error.status != _FORBIDDEN:
                    raise
                raise _autoscaled(workload, name, command) from error


def _path(namespace: str) -> str:
    return f"/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects"


def _of(workload: Workload, listed: bytes) -> _Autoscaler | None:
    """Give the one that scales this workload."""
    try:
        items = msgspec.json.decode(listed, type=_Listed).items
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise away(f"cannot read the autoscalers of {called(workload)}: {error}") from error
    wanted = (workload.name, workload.kind)
    return next(
        (one for one in items if (one.spec.scale_target_ref.name, one.spec.scale_target_ref.kind) == wanted), None
    )


def _autoscaled(workload: Workload, name: str, command: str) -> Problem:
    typed = f"kubectl annotate scaledobject {name} --namespace {workload.namespace} {command}"
    return Problem("autoscaled", f"KEDA scales {called(workload)} and this manager may not tell it: {typed}")
