"""Objects as a real API server (1.35) and its kubelet wrote them, and hand-made ones."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from agent_manager.cluster.objects import AGENT_LABEL, PodObject, WorkloadObject
from agent_manager.cluster.pods import Reading, read_pod
from agent_manager.platform import Pod

FOLDER = Path(__file__).parent / "objects"
NOW = datetime(2026, 11, 25, 1, 3, tzinfo=UTC)
"""When most of them were read."""
PODS, DEPLOYMENTS = "/api/v1/namespaces/here/pods", "/apis/apps/v1/namespaces/here/deployments"
STATEFUL_SETS = "/apis/apps/v1/namespaces/here/statefulsets"


def pod_file(name: str) -> PodObject:
    """Give a real pod."""
    return msgspec.json.decode((FOLDER / f"pod-{name}.json").read_bytes(), type=PodObject)


def workload_file(name: str) -> WorkloadObject:
    """Give a real workload."""
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=WorkloadObject)


def reading_of(thing: dict[str, Any], now: datetime = NOW) -> Reading:
    """Read a hand-made pod."""
    metadata = {"uid": "uid", "namespace": "here", "resourceVersion": "1", **thing["metadata"]}
    return read_pod(msgspec.convert({**thing, "metadata": metadata}, PodObject, strict=False), now)


def read(thing: dict[str, Any], now: datetime = NOW) -> Pod:
    """Read a hand-made pod."""
    return reading_of(thing, now).pod


def pod(name: str = "p", agent: str = "echo", **changes: Any) -> dict[str, Any]:
    """Give a pod that runs and is ready; `spec`, `status` and `metadata` are laid over it."""
    thing: dict[str, Any] = {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "creationTimestamp": "2026-11-25T01:00:00Z",
            "labels": {AGENT_LABEL: agent},
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "adapter", "image": "adapter:1"}]},
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.7",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "adapter", "restartCount": 0, "state": {"running": {}}}],
        },
    }
    for part, values in changes.items():
        thing[part] |= values
    return thing


def deployment(name: str = "d", agent: str = "echo", count: int = 2, **annotations: str) -> dict[str, Any]:
    """Give a Deployment that is rolled out; annotations are named without their prefix, `_` for `-`."""
    named = {f"agent-orchestration.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {AGENT_LABEL: agent}, "annotations": named},
        "spec": {"replicas": count},
        "status": {"observedGeneration": 1_000_000, "replicas": count, "updatedReplicas": count},
    }
