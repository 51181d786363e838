"""What the manager takes from a pod: which container is the adapter, where it listens, how it is."""

from datetime import UTC, datetime
from typing import Any

import pytest
from agent_manager.agent_client import Origin
from agent_manager.cluster.pods import has_ended, read_pod
from agent_manager.platform import Pod

from tests.manager.api_objects import NOW, pod, pod_file, read

HTTP = {"name": "http", "containerPort": 9000}


def test_a_real_pod_is_read() -> None:
    """Every field, from the JSON of a real API server."""
    found = read_pod(pod_file("running"), NOW).pod
    assert found == Pod(
        uid=found.uid,
        agent_id="sidecarok",
        namespace="here",
        name="sidecarok",
        created_at=datetime(2026, 11, 25, 0, 56, 21, tzinfo=UTC),
        node="node-1",
        ip="10.244.0.12",
        origin=Origin("10.244.0.12", 8100),
        image="agent-adapter:dev",
        phase="Running",
        ready=True,
        running=True,
    )
    assert len(found.uid) == 36


def test_a_pod_that_is_being_deleted_leaves() -> None:
    """At once, while its containers still run; what its containers do now is no problem."""
    found = read_pod(pod_file("leaving"), NOW).pod
    assert (found.leaving, found.running, found.ready, found.problem) == (True, True, True, None)
    crashing = pod_file("crash-loop")
    assert read_pod(crashing, NOW).pod.problem is not None
    gone = pod(metadata={"deletionTimestamp": "2026-11-25T01:02:00Z"})
    gone["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 143, "reason": "Error"}}
    assert (read(gone).leaving, read(gone).problem, read(gone).running) == (True, None, False)


@pytest.mark.parametrize(
    ("name", "ended"), [("succeeded", True), ("failed", True), ("running", False), ("no-volume", False)]
)
def test_a_pod_that_will_not_run_again_has_ended(name: str, *, ended: bool) -> None:
    """By its phase."""
    assert has_ended(pod_file(name)) is ended


@pytest.mark.parametrize(
    ("spec", "annotations", "port"),
    [
        ({"containers": [{"name": "adapter"}]}, {}, 8100),
        ({"containers": [{"name": "adapter", "ports": [HTTP]}]}, {}, 9000),
        ({"containers": [{"name": "adapter", "ports": [HTTP]}]}, {"agent-orchestration.dev/port": "7000"}, 9000),
        ({"containers": [{"name": "adapter"}]}, {"agent-orchestration.dev/port": "7000"}, 7000),
        ({"containers": [{"name": "a"}, {"name": "b", "ports": [{"containerPort": 1}, HTTP]}]}, {}, 9000),
        ({"containers": [{"name": "a"}], "initContainers": [{"name": "b", "ports": [HTTP]}]}, {}, 8100),
        (
            {
                "containers": [{"name": "a"}],
                "initContainers": [{"name": "b", "ports": [HTTP], "restartPolicy": "Always"}],
            },
            {},
            9000,
        ),
        *[
            ({"containers": [{"name": "a"}]}, {"agent-orchestration.dev/port": text}, 8100)
            for text in ("", "x", "0", "65536", "-1", "80 ", "٣", "9" * 5000, "00655359")
        ],
    ],
)
def test_the_port_is_the_named_one_else_the_annotated_else_8100(
    spec: dict[str, Any], annotations: dict[str, str], port: int
) -> None:
    """An annotation that is no port is none."""
    thing = pod(spec=spec, metadata={"annotations": annotations})
    assert read(thing).origin == Origin("10.0.0.7", port)


def test_the_adapter_is_the_container_with_the_port() -> None:
    """Its image and its restarts are shown, not those of what stands beside it."""
    thing = pod(
        spec={"containers": [{"name": "proxy", "image": "p:1"}, {"name": "mine", "image": "m:1", "ports": [HTTP]}]},
    )
    thing["status"]["containerStatuses"] = [
        {"name": "proxy", "restartCount": 5, "state": {"running": {}}},
        {"name": "mine", "restartCount": 2, "state": {"waiting": {"reason": "ContainerCreating"}}},
    ]
    found = read(thing)
    assert (found.image, found.restarts, found.running) == ("m:1", 2, False)


@pytest.mark.parametrize(
    ("ip", "origin"),
    [
        ("10.0.0.7", "http://10.0.0.7:8100"),
        ("fd00:0::7", "http://[fd00::7]:8100"),
        (None, "None"),
        ("", "None"),
        ("not an address", "None"),
        ("169.254.169.254", "None"),
        ("0.0.0.0", "None"),
    ],
)
def test_the_address_is_the_pods(ip: str | None, origin: str) -> None:
    """In its shortest form, as registrations spell it; what is no pod's address is never called."""
    thing = pod()
    thing["status"]["podIP"] = ip
    assert str(read(thing).origin) == origin


def test_everything_but_names_may_be_null() -> None:
    """Other programs than the kubelet write pods, and none of them ends the watch."""
    thing = pod(spec={"containers": None, "initContainers": None, "nodeName": None})
    for part in ("labels", "annotations", "creationTimestamp", "deletionTimestamp", "generation"):
        thing["metadata"][part] = None
    for status in (None, dict.fromkeys(("phase", "podIP", "conditions", "containerStatuses", "reason"))):
        found = read({**thing, "status": status})
        assert (found.agent_id, found.phase, found.origin, found.ready, found.restarts) == (
            "",
            "Pending",
            None,
            False,
            0,
        )
