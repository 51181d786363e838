"""Orders of a manager beside the cluster: what the real API server keeps of them, tells of them, and refuses."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_manager.acting import Member
from agent_manager.cluster.api import connect
from agent_manager.cluster.elector import LeaseTiming

from tests.cluster.cluster import Namespace, in_thread, run
from tests.cluster.manifests import container, workload
from tests.manager.following import ended
from tests.manager.manager_rig import ManagerRig, running_manager

pytestmark = [pytest.mark.full, pytest.mark.cluster, pytest.mark.timeout(120)]

NEVER_UP = {"containers": [container(["true"], image="nowhere/nothing:1")]}
READER = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "reader"},
    "rules": [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "patch"]},
        {
            "apiGroups": ["", "apps"],
            "resources": ["pods", "deployments", "statefulsets"],
            "verbs": ["get", "list", "watch"],
        },
    ],
}


@pytest.fixture(scope="module")
def town(cluster: None) -> Iterator[Namespace]:
    """Give a namespace with a Deployment of agent `echo` whose pods never come up: no image is needed for this."""
    del cluster
    with Namespace(f"orders-{uuid.uuid4().hex[:8]}") as made:
        made.apply(workload("echo", NEVER_UP, replicas=2))
        yield made


@contextlib.asynccontextmanager
async def manager(namespace: Namespace, kubeconfig: str | None = None) -> AsyncIterator[ManagerRig]:
    """Give a manager of that namespace that sees the agent and acts."""

    async def join(url: str) -> Member:
        api = await connect(namespace=namespace.name, kubeconfig=kubeconfig)
        return Member(api=api, identity="beside", address=url, timing=LeaseTiming(retry_seconds=0.2))

    async with running_manager(join=join, discovery="kubernetes") as rig:
        leadership = rig.manager.actions._leadership
        async with asyncio.timeout(20):
            while not (leadership.is_leader and "echo" in rig.manager.registry.agents):
                await rig.manager.registry.changed("echo", 0.05)
        yield rig


async def deployment(namespace: Namespace) -> Any:
    """Give the Deployment as it is."""
    (found,) = await in_thread(namespace.get, "deployments")
    return found


async def described(namespace: Namespace, rig: ManagerRig, *words: str) -> str:
    """Wait until `kubectl describe` says all of these; gives what it says."""
    async with asyncio.timeout(20):
        while True:
            said: str = await in_thread(namespace.kubectl, "describe", "deployment/echo")
            if all(word in said for word in words):
                return said
            await rig.manager.registry.changed("echo", 0.1)


async def test_orders_are_kept_on_the_workload_and_told_by_describe(town: Namespace) -> None:
    """Pause, stop and start of an agent whose pods do not even come up."""
    async with manager(town) as rig:
        assert (await ended(rig, await rig.act("echo", "pause")))["state"] == "succeeded"
        annotations = (await deployment(town))["metadata"]["annotations"]
        assert annotations["agent-orchestration.dev/desired-state"] == "paused"
        assert (await ended(rig, await rig.act("echo", "stop")))["state"] == "succeeded"
        stopped = await deployment(town)
        assert (stopped["spec"]["replicas"], await in_thread(town.get, "pods")) == (0, [])
        assert stopped["metadata"]["annotations"]["agent-orchestration.dev/replicas"] == "2"
        started = await rig.act("echo", "start")
        assert started.status_code == 202
        now = await deployment(town)
        assert (now["spec"]["replicas"], now["metadata"]["annotations"]["agent-orchestration.dev/desired-state"]) == (
            2,
            "running",
        )
        assert "agent-orchestration.dev/replicas" not in now["metadata"]["annotations"]
        said = await described(town, rig, "AgentPaused", "AgentStopOrdered", "AgentStopped", "AgentStartOrdered")
        assert "agent-manager" in said
    left = await in_thread(town.get, "leases")
    assert left[0]["spec"]["holderIdentity"] == ""
    assert "AgentStartFailed" in await in_thread(town.kubectl, "describe", "deployment/echo")


async def test_a_right_that_is_missing_is_named_as_the_api_server_names_it(town: Namespace, tmp_path: Path) -> None:
    """A manager that may look and not write: the command that it gives says no, as it should."""
    town.kubectl("create", "serviceaccount", "reader")
    town.apply(READER)
    town.kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={town.name}:reader")
    token = town.kubectl("create", "token", "reader").strip()
    config = json.loads(run("kubectl", "config", "view", "--raw", "--minify", "--output", "json").stdout)
    config["users"][0]["user"] = {"token": token}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    async with manager(town, str(path)) as rig:
        for action, facts in (("pause", {}), ("restart", {"strategy": "rollout"})):
            refused = await rig.act("echo", action, **facts)
            assert (refused.status_code, refused.json()["code"]) == (403, "rbac-denied"), refused.text
            user = f"system:serviceaccount:{town.name}:reader"
            assert f"{user} may not patch deployments.apps in namespace {town.name}" in refused.json()["detail"]
            command = refused.json()["detail"].partition("see: ")[2].split()
            assert run(*command, check=False).stdout.strip() == "no"
