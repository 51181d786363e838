"""The Lease object (coordination.k8s.io/v1) that says which manager acts: read, claimed, given back."""

import contextlib
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec
from agent_contract.problems import Problem
from msgspec import Struct

from agent_manager.agent_client import Origin
from agent_manager.cluster.api import ApiFailed, ApiUnreachable, ClusterApi
from agent_manager.service_urls import ServiceUrls, read

NAME: Final = "agent-manager"
ADDRESS: Final = "agent-orchestration.dev/address"
"""The annotation with the holder's URL: where the other managers pass orders on to."""
_KIND: Final = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
_NOT_FOUND: Final = 404


class _Metadata(Struct, rename="camel", frozen=True):
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class Spec(Struct, rename="camel", frozen=True):
    """Who holds it. The times in it are the holder's: nobody else compares them with a clock of its own."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(Struct, frozen=True):
    """The Lease as it was read."""

    metadata: _Metadata
    spec: Spec = Spec()

    @property
    def holder(self) -> str:
        """The identity of its holder; empty where nobody holds it."""
        return self.spec.holder_identity or ""

    @property
    def origin(self) -> Origin | None:
        """Where its holder listens; None where that is not said, or is nothing that a manager may be sent to.

        Whoever may write the Lease is believed, but clients' credentials go there: an address in its usual spelling,
        and never that of a metadata service.
        """
        address = (self.metadata.annotations or {}).get(ADDRESS)
        if address is None:
            return None
        with contextlib.suppress(Problem):
            place = read(address)
            if not isinstance(place.host, str):
                ServiceUrls(()).permit(place, str(place.host))
                return Origin(str(place.host), place.port, place.tls)
        return None


class Leases:
    """Reads and writes the one Lease of the managers in a namespace."""

    def __init__(
        self,
        api: ClusterApi,
        *,
        identity: str,
        address: str | None,
        duration_seconds: float,
        wall: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._identity = identity
        self._address = address
        self._duration_seconds = max(1, math.ceil(duration_seconds))
        self._wall = wall
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{api.namespace}/leases"

    async def read(self) -> Lease | None:
        """Give it, or None where there is none. This and the others raise ApiFailed and ApiUnreachable."""
        try:
            return _decoded(await self._api.request("GET", f"{self._path}/{NAME}"))
        except ApiFailed as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    async def claim(self, lease: Lease | None) -> Lease:
        """Take or renew it as it was read; None: make it. Raises ApiFailed 409 where somebody else wrote meanwhile."""
        now = self._now()
        spec: dict[str, Any] = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._duration_seconds,
            "renewTime": now,
        }
        if lease is None:
            spec |= {"acquireTime": now, "leaseTransitions": 0}
            return await self._create(spec)
        if lease.holder != self._identity:
            spec |= {"acquireTime": now, "leaseTransitions": (lease.spec.lease_transitions or 0) + 1}
        return await self._change(lease, spec, {ADDRESS: self._address})

    async def give_back(self, lease: Lease) -> None:
        """Leave it to whoever looks next, as client-go does; raises ApiFailed 409 where it is not ours any more."""
        spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._now()}
        await self._change(lease, spec, {ADDRESS: None})

    async def _create(self, spec: dict[str, Any]) -> Lease:
        annotations = {} if self._address is None else {ADDRESS: self._address}
        body = _KIND | {"metadata": {"name": NAME, "annotations": annotations}, "spec": spec}
        return _decoded(await self._api.request("POST", self._path, body=msgspec.json.encode(body)))

    async def _change(self, lease: Lease, spec: dict[str, Any], annotations: dict[str, str | None]) -> Lease:
        """Change these members of what was read: with its resourceVersion a patch is refused if it is another now."""
        metadata = {"resourceVersion": lease.metadata.resource_version, "annotations": annotations}
        answer = await self._api.request(
            "PATCH",
            f"{self._path}/{NAME}",
            body=msgspec.json.encode({"metadata": metadata, "spec": spec}),
            content_type="application/merge-patch+json",
        )
        return _decoded(answer)

    def _now(self) -> str:
        return self._wall().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _decoded(answer: bytes) -> Lease:
    try:
        return msgspec.json.decode(answer, type=Lease)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ApiUnreachable(f"cannot read the lease: {error}") from error
