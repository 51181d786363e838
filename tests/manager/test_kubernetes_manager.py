"""A whole manager in a cluster: what operators see of its watch, and what goes on when the API server does not."""

import signal
from pathlib import Path

import pytest

from tests.manager.api_objects import DEPLOYMENTS, deployment
from tests.manager.cluster_rig import LEASES, ClusterRig
from tests.manager.fake_api_server import FakeApiServer, failure
from tests.manager.manager_process import ended, manager
from tests.manager.manager_rig import ManagerRig

REASONS = ("closed", "expired", "inactive", "forbidden", "throttled", "unreachable", "error")


async def series(rig: ManagerRig, name: str) -> dict[str, float]:
    """Give the values of a family of metrics, by labels."""
    text = (await rig.client.get("/metrics", params={"scope": "self"})).text
    rows = [line.rpartition(" ") for line in text.splitlines() if line.startswith(f"agent_manager_{name}")]
    return {labels.removeprefix(f"agent_manager_{name}"): float(value) for labels, _, value in rows}


async def test_the_watch_has_its_metrics_from_the_start(cluster: ClusterRig) -> None:
    """A series for each namespace and each reason, at 0; elsewhere the families are there without series."""
    async with cluster.manager() as rig:
        await rig.until(lambda: rig.parts.watches.is_up("here"))
        assert await series(rig, "watch_up") == {'{namespace="here"}': 1.0}
        [heard_at] = (await series(rig, "watch_last_event_timestamp_seconds")).values()
        assert heard_at > 1.7e9
        restarts = await series(rig, "watch_restarts_total")
        assert restarts == {f'{{namespace="here",reason="{reason}"}}': 0.0 for reason in REASONS}
        assert await series(rig, "leader") == {"": 1.0}


async def test_a_manager_without_a_cluster_has_no_series_of_one(rig: ManagerRig) -> None:
    """And leads, for it is alone."""
    assert await series(rig, "watch_up") == {}
    assert await series(rig, "watch_restarts_total") == {}
    assert await series(rig, "leader") == {"": 1.0}


async def test_an_api_server_that_is_away_takes_nobody_out_of_service(cluster: ClusterRig) -> None:
    """F20: calls are forwarded and beats taken; `/ready` stays 200 and says what is stale, and metrics too."""
    async with cluster.manager() as rig:
        adapter = await cluster.pod("p-1")
        await rig.until(lambda: rig.parts.watches.is_up("here"))
        assert await rig.get("/ready") == {"status": "ready", "stale": []}
        cluster.server.answer = lambda _: failure(500, "InternalError")
        cluster.server.close_watches(broken=True)
        await rig.until(lambda: bool(rig.parts.watches.stale()))
        answer = await rig.client.get("/ready")
        [stale] = answer.json()["stale"]
        assert answer.status_code == 200
        assert (stale["source"], stale["namespace"]) == ("kubernetes", "here")
        assert "pods: " in stale["detail"]
        assert await series(rig, "watch_up") == {'{namespace="here"}': 0.0}
        assert sum((await series(rig, "watch_restarts_total")).values()) >= 1
        assert (await rig.execute()).status_code == 200
        assert (await rig.beat(adapter)).status_code == 200
        cluster.server.answer = lambda _: None
        await rig.until(lambda: rig.parts.watches.is_up("here"))


async def test_a_pod_that_cannot_run_is_listed_with_its_reason(cluster: ClusterRig) -> None:
    """From the API's JSON to the listing's."""
    async with cluster.manager() as rig:
        cluster.bare_pod("p-1")
        await rig.until(lambda: bool(cluster.record(rig).bare_pods))
        [instance] = (await rig.listed())["instances"]
        assert (instance["state"], instance["source"], instance["serviceUrl"]) == ("starting", "kubernetes", "")
        assert instance["pod"]["reason"] == "ImagePullBackOff"
        assert instance["problem"]["code"] == "image-pull"
        assert (await rig.listed())["problem"]["code"] == "image-pull"


# --- the process ------------------------------------------------------------------------------------------------------


async def test_without_a_cluster_it_is_exit_2(tmp_path: Path) -> None:
    """The configuration says Kubernetes and there is none: one line that says where it looked."""
    (tmp_path / "c.json").write_text('{"runtime":{"discovery":{"mode":"kubernetes"}}}')
    (tmp_path / "kubeconfig").write_text("{}")
    kubeconfig = str(tmp_path / "kubeconfig")
    code, said = await ended("--config", "c.json", "--port", "0", cwd=tmp_path, KUBECONFIG=kubeconfig)
    assert code == 2
    assert said.startswith("agent-manager: bad configuration: runtime.discovery: cannot find a cluster: ")
    assert said.count("\n") == 1


async def test_the_process_watches_the_cluster_of_its_kubeconfig(
    api_server: FakeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lists before it is ready, holds the lease while it lives, and gives it back as it leaves."""
    monkeypatch.setenv("KUBECONFIG", api_server.kubeconfig(tmp_path))
    monkeypatch.setenv("POD_NAME", "manager-0")
    monkeypatch.setenv("POD_IP", "10.0.0.9")
    api_server.store.put(DEPLOYMENTS, deployment("echo", "echo", 0))
    async with manager(tmp_path, discovery={"mode": "kubernetes"}) as process:
        await process.said("cluster listed")
        assert (await process.client.get("/ready")).status_code == 200
        [agent] = (await process.client.get("/api/agent-services")).json()["agents"]
        assert (agent["id"], agent["state"], agent["sources"]) == ("echo", "stopped", ["kubernetes"])
        await process.said("leads from now on")
        lease = api_server.store.get(LEASES, "agent-manager")
        assert lease["spec"]["holderIdentity"].startswith("manager-0_")
        port = process.url.rpartition(":")[2]
        assert lease["metadata"]["annotations"]["agent-orchestration.dev/address"] == f"http://10.0.0.9:{port}"
        process.signal(signal.SIGTERM)
        assert await process.left() == 0
    assert not api_server.store.get(LEASES, "agent-manager")["spec"].get("holderIdentity")
