"""Managers in one cluster, on real sockets: a fake API server, and a test that plays controllers and kubelet."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent_manager.acting import Member
from agent_manager.cluster.elector import LeaseTiming
from agent_manager.cluster.objects import AGENT_LABEL
from agent_manager.records import AgentRecord

from tests.manager.api_objects import DEPLOYMENTS, PODS, pod
from tests.manager.fake_adapter import FakeAdapter
from tests.manager.fake_api_server import FakeApiServer, connected
from tests.manager.manager_rig import ManagerRig, running_manager

EVENTS = "/apis/events.k8s.io/v1/namespaces/here/events"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/here/leases"
DESIRED = "agent-orchestration.dev/desired-state"
KEPT = "agent-orchestration.dev/replicas"
HASTE = LeaseTiming(retry_seconds=0.05, request_seconds=1.0)
"""Looks often, and holds as long as in production: a test machine that stalls for a second loses no lease."""


class ClusterRig:
    """A cluster with agent `echo`, which has a Deployment of its name."""

    def __init__(self, server: FakeApiServer, folder: Path) -> None:
        self.server = server
        self.managers: list[ManagerRig] = []
        self._folder = folder
        self._pods: dict[str, FakeAdapter] = {}

    # --- managers -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def manager(self, name: str = "one", **settings: Any) -> AsyncIterator[ManagerRig]:
        """Give a manager that has listed the cluster and knows who leads, until the block ends."""
        async with AsyncExitStack() as stack:

            async def join(url: str) -> Member:
                api = await stack.enter_async_context(connected(self.server, self._folder))
                return Member(api=api, identity=name, address=url, timing=HASTE)

            rig = await stack.enter_async_context(running_manager(join=join, discovery="kubernetes", **settings))
            self.managers.append(rig)
            lead = rig.manager.actions._leadership
            await rig.until(lambda: "kubernetes" in rig.manager.registry.listed_at and lead.holder is not None)
            yield rig
            self.managers.remove(rig)

    def record(self, rig: ManagerRig) -> AgentRecord:
        """Give what a manager knows of the agent."""
        found = rig.manager.registry.find("echo")
        assert found is not None
        return found

    async def all_see(self, condition: Callable[[AgentRecord], bool]) -> None:
        """Wait until every manager sees the agent so."""
        for rig in self.managers:
            await rig.until(lambda rig=rig: condition(self.record(rig)))  # type: ignore[misc]  # bound at once

    # --- workloads ----------------------------------------------------------------------------------------------------

    def deploy(self, replicas: int = 2, **annotations: str) -> None:
        """Create or change the Deployment, as people do."""
        metadata = {"name": "echo", "labels": {AGENT_LABEL: "echo"}, "annotations": annotations}
        self.server.store.put(DEPLOYMENTS, {"metadata": metadata, "spec": {"replicas": replicas, "template": {}}})
        self.settle()

    def settle(self, *, rolled_out: bool = True) -> None:
        """Let its controller have done its work; or only have seen the change."""
        thing = self.deployment
        count = thing["spec"]["replicas"]
        status = {
            "observedGeneration": thing["metadata"]["generation"],
            "replicas": count,
            "updatedReplicas": count if rolled_out else 0,
            "availableReplicas": count,
        }
        self.server.store.patch(DEPLOYMENTS, "echo", {"status": status})

    @property
    def deployment(self) -> dict[str, Any]:
        """The Deployment as it is."""
        return self.server.store.get(DEPLOYMENTS, "echo")

    @property
    def annotations(self) -> dict[str, str]:
        """The Deployment's annotations."""
        found: dict[str, str] = self.deployment["metadata"].get("annotations") or {}
        return found

    # --- pods ---------------------------------------------------------------------------------------------------------

    async def pod(self, name: str, *, status: Any = "running", registers: bool = True) -> FakeAdapter:
        """Let a pod come up whose adapter registers at every manager."""
        adapter = await FakeAdapter("echo").start()
        adapter.state = status
        self._pods[name] = adapter
        thing = pod(name, metadata={"annotations": {"agent-orchestration.dev/port": str(adapter.port)}})
        self.server.store.put(PODS, thing | {"status": thing["status"] | {"podIP": "127.0.0.1"}})
        for rig in self.managers if registers else ():
            assert (await rig.register(adapter)).status_code == 200
        await self.all_see(
            lambda record: any(one.pod for one in record.instances.values() if one.origin.port == adapter.port)
        )
        return adapter

    async def pods(self, *names: str, status: Any = "running") -> list[FakeAdapter]:
        """Let several come up."""
        return [await self.pod(name, status=status) for name in names]

    def bare_pod(self, name: str) -> None:
        """Let a pod come whose image is not there."""
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
        status = {
            "phase": "Pending",
            "podIP": None,
            "conditions": [],
            "containerStatuses": [{"name": "adapter", "restartCount": 0, "state": waiting}],
        }
        self.server.store.put(PODS, pod(name, status=status))

    def end(self, name: str) -> None:
        """Let the API server have taken the order to delete a pod: its kubelet ends it."""
        stamp = {"deletionTimestamp": datetime.now(UTC).isoformat(), "deletionGracePeriodSeconds": 30}
        self.server.store.patch(PODS, name, {"metadata": stamp})

    async def gone(self, name: str, *, said: bool = True, cut: int = 0) -> None:
        """Let a pod be gone, after its adapter's last word to every manager; `said`: whether that came."""
        adapter = self._pods.pop(name, None)
        if adapter is not None:
            drain = {"reason": "signal", "durationSeconds": 0.1, "finishedTasks": 3, "cutTasks": cut}
            body = {"id": "echo", "instanceId": adapter.instance_id, "reason": "signal", "drain": drain}
            for rig in self.managers if said else ():
                await rig.client.post("/api/agent-services/unregister", json=body)
            await adapter.stop()
        self.server.store.delete(PODS, name)

    async def close(self) -> None:
        """End every adapter."""
        for adapter in self._pods.values():
            await adapter.stop()

    # --- what was written ---------------------------------------------------------------------------------------------

    def events(self) -> list[dict[str, Any]]:
        """Give the Events that were written, in their order."""
        return sorted(self.server.store.list(EVENTS), key=lambda event: int(event["metadata"]["resourceVersion"]))

    async def until_events(self, *reasons: str) -> list[dict[str, Any]]:
        """Wait until Events with these reasons are there; gives all that are."""
        await self.server.until(lambda: set(reasons) <= {event["reason"] for event in self.events()})
        return self.events()


@asynccontextmanager
async def cluster_rig(server: FakeApiServer, folder: Path) -> AsyncIterator[ClusterRig]:
    """Give a cluster without a manager, until the block ends."""
    rig = ClusterRig(server, folder)
    try:
        yield rig
    finally:
        await rig.close()
