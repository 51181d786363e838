"""What the manager takes from Deployments and StatefulSets."""

from typing import Any

import msgspec
import pytest
from agent_manager.cluster.objects import WorkloadObject
from agent_manager.cluster.workloads import read_workload
from agent_manager.platform import Workload, WorkloadKind

from tests.manager.api_objects import workload_file


def made(kind: WorkloadKind = "Deployment", **parts: Any) -> Workload:
    """Read a hand-made workload that is rolled out, with these parts laid over it."""
    thing: dict[str, Any] = {
        "metadata": {"name": "w", "namespace": "here", "uid": "u", "resourceVersion": "1", "generation": 3},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
    }
    for part, values in parts.items():
        thing[part] = {**thing[part], **values}
    return read_workload(msgspec.convert(thing, WorkloadObject), kind)


def annotated(count: int, **annotations: str) -> Workload:
    """Read a workload with annotations."""
    named = {f"agent-orchestration.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    metadata = {"name": "w", "namespace": "here", "uid": "u", "resourceVersion": "1", "annotations": named}
    return made(metadata=metadata, spec={"replicas": count})


def test_a_real_one_is_read() -> None:
    """Every field, from the JSON of a real API server."""
    found = read_workload(workload_file("deployment-stopped"), "Deployment")
    assert found == Workload(
        uid=found.uid,
        agent_id="stopped",
        kind="Deployment",
        namespace="here",
        name="stopped",
        replicas=0,
        kept_replicas=3,
        desired_state="stopped",
        generation=1,
        rolling=False,
    )


@pytest.mark.parametrize(
    ("name", "kind", "rolling"),
    [
        ("deployment-steady", "Deployment", False),
        ("deployment-rollout", "Deployment", True),
        ("deployment-stopped", "Deployment", False),
        ("statefulset-steady", "StatefulSet", False),
        ("statefulset-rollout", "StatefulSet", True),
    ],
)
def test_a_rollout_is_seen(name: str, kind: WorkloadKind, *, rolling: bool) -> None:
    """While pods of an older template are there, or those of the newest are not up."""
    assert read_workload(workload_file(name), kind).rolling is rolling


def test_a_paused_agent_does_not_roll_out() -> None:
    """Its pods are not ready because it is paused, and its last rollout was done long before."""
    thing = workload_file("deployment-paused")
    assert thing.status is not None
    assert thing.status.available_replicas == 0
    found = read_workload(thing, "Deployment")
    assert (found.desired_state, found.rolling) == ("paused", False)


@pytest.mark.parametrize(
    ("parts", "rolling"),
    [
        ({}, False),
        ({"status": {"observedGeneration": 2}}, True),
        ({"status": {"updatedReplicas": 1}}, True),
        ({"status": {"replicas": 3}}, True),
        ({"status": {"availableReplicas": 1}}, True),
        ({"status": {"availableReplicas": 1, "conditions": [{"type": "Progressing", "status": "True"}]}}, True),
    ],
)
def test_what_makes_a_rollout_of_a_deployment(parts: dict[str, Any], *, rolling: bool) -> None:
    """As `kubectl rollout status` sees it."""
    assert made(**parts).rolling is rolling


def test_what_makes_a_rollout_of_a_stateful_set() -> None:
    """Two revisions; where they are brought to the pods by hand, nobody waits for it."""
    status = {"currentRevision": "a", "updateRevision": "b"}
    assert made("StatefulSet", status=status).rolling
    assert not made("StatefulSet", status=status, spec={"updateStrategy": {"type": "OnDelete"}}).rolling
    assert not made(
        "StatefulSet", status={"currentRevision": "b", "updateRevision": "b", "availableReplicas": 0}
    ).rolling


@pytest.mark.parametrize(
    ("replicas", "said", "state"),
    [
        (1, "running", "running"),
        (1, "paused", "paused"),
        (0, "stopped", "stopped"),
        (1, "stopped", "running"),
        (0, "paused", "paused"),
        (1, "sleeping", None),
        (1, "", None),
    ],
)
def test_the_desired_state_is_the_annotations(replicas: int, said: str, state: str | None) -> None:
    """One that was stopped and has pods again was scaled by hand: it is to run."""
    assert annotated(replicas, desired_state=said).desired_state == state


@pytest.mark.parametrize(
    ("text", "count"), [("3", 3), ("0", None), ("-1", None), ("x", None), ("", None), ("9" * 5000, None), ("٣", None)]
)
def test_the_kept_count_is_the_annotations(text: str, count: int | None) -> None:
    """A text that is no count is none."""
    assert annotated(0, replicas=text).kept_replicas == count


def test_without_a_number_it_has_one_pod() -> None:
    """The API's own default; 0 is a number."""
    assert made(spec={"replicas": None}).replicas == 1
    assert (
        made(spec={"replicas": 0}, status={"replicas": 0, "updatedReplicas": 0, "availableReplicas": 0}).replicas == 0
    )
