"""What an operator is told of a pod that does not serve: read from pods that a real kubelet could not run."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agent_manager.cluster.pod_problems import OUT_OF_MEMORY_SECONDS, PATIENCE_SECONDS
from agent_manager.cluster.pods import read_pod

from tests.manager.api_objects import NOW, pod, pod_file, read, reading_of


def waiting(reason: str | None, message: str | None = None) -> dict[str, Any]:
    """Give the state of a container that waits."""
    return {"state": {"waiting": {"reason": reason, "message": message}}}


@pytest.mark.parametrize(
    ("name", "code", "reason", "detail"),
    [
        ("running", None, None, None),
        ("not-ready", None, None, None),
        (
            "image-pull-error",
            "image-pull",
            "ErrImagePull",
            "cannot get the image registry.invalid/nix:1 of container adapter: ErrImagePull: failed to pull",
        ),
        ("image-pull-back-off", "image-pull", "ImagePullBackOff", "ImagePullBackOff: Back-off pulling image"),
        ("image-name", "image-pull", "InvalidImageName", "couldn't parse image name"),
        ("image-never-pull", "image-pull", "ErrImageNeverPull", "is not present with pull policy of Never"),
        (
            "out-of-memory",
            "oom-killed",
            "OOMKilled",
            "killed for its memory (OOMKilled, exit code 137, limit 32Mi) at 2026-11-25T01:02:15Z; restarted 6 times",
        ),
        ("out-of-memory-once", "oom-killed", "OOMKilled", "at 2026-11-25T00:56:24Z; restarted 1 time, it runs again"),
        (
            "crashed",
            "crash-loop",
            "Error",
            "adapter does not stay up: it ended with exit code 3 (Error) at 2026-11-25T00:57:08Z; restarted 3 times",
        ),
        (
            "crash-loop",
            "crash-loop",
            "CrashLoopBackOff",
            "exit code 3 (Error) at 2026-11-25T01:02:10Z; restarted 6 times; CrashLoopBackOff: back-off 5m0s",
        ),
        ("crash-loop-by-probe", "crash-loop", "CrashLoopBackOff", "it ended with exit code 0 (Completed)"),
        (
            "cannot-start",
            "crash-loop",
            "CrashLoopBackOff",
            'exec: "/no/such": stat /no/such: no such file or directory',
        ),
        (
            "second-crash-loop",
            "crash-loop",
            "CrashLoopBackOff",
            "container log-shipper does not stay up: it ended with ",
        ),
        (
            "sidecar-crash-loop",
            "crash-loop",
            "CrashLoopBackOff",
            "sidecar foreign does not stay up: it ended with exit c",
        ),
        (
            "init-crash-loop",
            "crash-loop",
            "CrashLoopBackOff",
            "init container setup does not stay up: it ended with exit",
        ),
        (
            "unschedulable",
            "pending",
            "Unschedulable",
            "no node was found: Unschedulable: 0/1 nodes are available: 1 Insuf",
        ),
        (
            "no-config",
            "pending",
            "CreateContainerConfigError",
            'container adapter cannot be started: CreateContainerConfigError: configmap "not-there" not found',
        ),
        (
            "no-volume",
            "pending",
            "ContainerCreating",
            "its containers are not made yet (ContainerCreating): kubectl descr",
        ),
        ("init-runs", "pending", "PodInitializing", "it waits for init container setup to end"),
    ],
)
def test_each_problem_is_told_with_its_reason(
    name: str, code: str | None, reason: str | None, detail: str | None
) -> None:
    """Which container, why, how often, and what the platform says of it."""
    found = read_pod(pod_file(name), NOW).pod
    assert found.reason == reason
    if code is None or detail is None:
        assert found.problem is None
    else:
        assert found.problem is not None
        assert found.problem.code == code
        assert detail in found.problem.detail


@pytest.mark.parametrize(
    ("name", "since"),
    [
        ("image-pull-error", datetime(2026, 11, 25, 0, 56, 21, tzinfo=UTC)),
        ("crash-loop", datetime(2026, 11, 25, 0, 57, 57, tzinfo=UTC)),
        ("out-of-memory", datetime(2026, 11, 25, 1, 2, 15, tzinfo=UTC)),
        ("unschedulable", datetime(2026, 11, 25, 0, 56, 21, tzinfo=UTC)),
    ],
)
def test_a_problem_says_since_when(name: str, since: datetime) -> None:
    """A memory kill when it came, all else since its containers are not ready: that stays while the count grows."""
    found = read_pod(pod_file(name), NOW).pod
    assert found.problem is not None
    assert found.problem.since == since


def test_a_memory_kill_is_told_of_for_ten_minutes() -> None:
    """It runs again at once, and an operator must have a chance to see why it was away."""
    killed_at = datetime(2026, 11, 25, 0, 56, 24, tzinfo=UTC)
    until = killed_at + timedelta(seconds=OUT_OF_MEMORY_SECONDS)
    reading = read_pod(pod_file("out-of-memory-once"), until - timedelta(seconds=1))
    assert reading.pod.problem is not None
    assert reading.again_at == until
    later = read_pod(pod_file("out-of-memory-once"), until)
    assert (later.pod.problem, later.pod.reason, later.again_at) == (None, None, None)


def test_what_is_wrong_now_comes_before_what_was() -> None:
    """A sidecar that crashes keeps the pod down; the adapter's memory kill of minutes ago does not."""
    thing = pod(spec={"containers": [{"name": "adapter"}, {"name": "shipper"}]})
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-25T01:02:00Z"}}
    thing["status"]["containerStatuses"] = [
        {"name": "adapter", "restartCount": 1, "state": {"running": {}}, "lastState": killed},
        {"name": "shipper", "restartCount": 1, **waiting("CrashLoopBackOff")},
    ]
    problem = read(thing).problem
    assert problem is not None
    assert problem.code == "crash-loop"
    thing["status"]["containerStatuses"][1] = {"name": "shipper", "state": {"running": {}}}
    problem = read(thing).problem
    assert problem is not None
    assert problem.code == "oom-killed"


def test_a_memory_kill_counts_while_it_waits_for_its_next_start() -> None:
    """The state is CrashLoopBackOff by then, and the reason stands in the last state."""
    thing = pod()
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-25T00:00:00Z"}}
    thing["status"]["containerStatuses"] = [
        {"name": "adapter", "restartCount": 4, "lastState": killed, **waiting("CrashLoopBackOff")}
    ]
    problem = read(thing).problem
    assert problem is not None
    assert problem.code == "oom-killed"
    assert problem.detail.endswith("restarted 4 times, it does not run (CrashLoopBackOff)")


def test_the_adapters_problem_comes_first() -> None:
    """Two containers are down; the one that is called is named."""
    thing = pod(spec={"containers": [{"name": "a"}, {"name": "b", "ports": [{"name": "http", "containerPort": 1}]}]})
    thing["status"]["containerStatuses"] = [
        {"name": "a", **waiting("ImagePullBackOff")},
        {"name": "b", **waiting("ErrImagePull")},
    ]
    assert read(thing).reason == "ErrImagePull"


def test_a_pod_in_the_making_is_no_problem_for_ten_seconds() -> None:
    """Every rollout makes some; its reason is shown all the same."""
    thing = pod()
    thing["status"] = {"phase": "Pending", "containerStatuses": [{"name": "adapter", **waiting("ContainerCreating")}]}
    created = datetime(2026, 11, 25, 1, 0, tzinfo=UTC)
    due = created + timedelta(seconds=PATIENCE_SECONDS)
    early = reading_of(thing, due - timedelta(seconds=1))
    assert (early.pod.problem, early.pod.reason, early.again_at) == (None, "ContainerCreating", due)
    late = reading_of(thing, due)
    assert late.pod.problem is not None
    assert (late.pod.problem.code, late.pod.problem.since, late.again_at) == ("pending", created, None)


def test_what_has_a_reason_is_a_problem_at_once() -> None:
    """Nothing is gained by waiting for what will not come by itself."""
    thing = pod()
    created = datetime(2026, 11, 25, 1, 0, tzinfo=UTC)
    for status in (
        {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]},
        {"containerStatuses": [{"name": "adapter", **waiting("CreateContainerError", "no")}]},
    ):
        thing["status"] = {"phase": "Pending", **status}
        problem = read(thing, created).problem
        assert problem is not None
        assert problem.code == "pending"


def test_its_own_last_words_are_not_told() -> None:
    """A container's termination message may be the tail of its log."""
    thing = pod()
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": "the password is x"}}
    thing["status"]["containerStatuses"] = [{"name": "adapter", "state": ended}]
    problem = read(thing).problem
    assert problem is not None
    assert "password" not in problem.detail


def test_a_container_that_ended_well_is_no_problem() -> None:
    """Init containers end, and the kubelet starts an adapter again that was told to leave."""
    thing = pod(spec={"containers": [{"name": "adapter"}], "initContainers": [{"name": "setup"}]})
    done = {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
    thing["status"]["initContainerStatuses"] = [{"name": "setup", **done}]
    assert read(thing).problem is None
    thing["status"]["containerStatuses"] = [{"name": "adapter", **done}]
    assert read(thing).problem is None


def test_long_messages_are_cut() -> None:
    """A kubelet's may have thousands of characters."""
    thing = pod()
    thing["status"]["containerStatuses"] = [{"name": "adapter", **waiting("ErrImagePull", "x" * 5000)}]
    problem = read(thing).problem
    assert problem is not None
    assert len(problem.detail) < 600
